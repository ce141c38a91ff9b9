"""VitaBench: an agent serves a simulated customer of delivery, shop and travel services; a judge decides."""
