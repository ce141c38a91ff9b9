"""What people read: statistics, tables, comparison."""
