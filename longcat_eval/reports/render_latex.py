"""The table as LaTeX for a paper: a tabular with booktabs' rules, its notes below it."""

from collections.abc import Sequence

from longcat_eval.reports import texts
from longcat_eval.reports.notes import notes
from longcat_eval.reports.table import Cell, Table

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"$\sim$",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\textasciigrave{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "†": r"\textdagger{}",
    "‡": r"\textdaggerdbl{}",
    "§": r"\S{}",
    "¶": r"\P{}",
    "◊": r"$\diamond$",
    "*": r"\textasteriskcentered{}",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "τ": r"$\tau$",
    "²": r"$^2$",
    "×": r"$\times$",
    "≤": r"$\le$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
}
"""Letters that mean something to TeX, or that pdfLaTeX's default fonts lack; other letters stay."""
PDFLATEX_KNOWS = 0x17F
"""The last letter that pdfLaTeX prints without further packages (Latin with accents)."""
_table = str.maketrans(SPECIAL)


def to_latex(table: Table) -> str:
    """A fragment to \\input; marks are superscripts, our cells have ratio and interval in small print."""
    columns = len(table.columns) + 1
    lines = [
        r"% Needs \usepackage{booktabs}.",
        rf"\begin{{tabular}}{{l{'r' * (columns - 1)}}}",
        r"\toprule",
        _line(["Benchmark (metric)", *(column.label for column in table.columns)]),
        r"\midrule",
    ]
    lines += [_line([label, *values]) for label, values in table.header]
    for number, group in enumerate(table.groups):
        if number or table.header:
            lines.append(r"\midrule")
        lines.append(rf"\multicolumn{{{columns}}}{{l}}{{\textbf{{{escape(group.name)}}}}} \\")
        lines += [" & ".join([escape(row.label), *map(_cell, row.cells)]) + r" \\" for row in group.rows]
    lines += [r"\bottomrule", r"\end{tabular}"]
    if remarks := notes(table):
        lines += ["", r"\begin{itemize}\footnotesize"]
        lines += [rf"\item {escape(remark)}" for remark in remarks]
        lines.append(r"\end{itemize}")
    text = "\n".join(lines) + "\n"
    if foreign := "".join(sorted({letter for letter in text if ord(letter) > PDFLATEX_KNOWS})):
        text = f"% Needs XeLaTeX or LuaLaTeX and a font that has {foreign}\n{text}"
    return text


def escape(text: str) -> str:
    """A text as LaTeX prints it, on one line; control characters are dropped.

    A bracket at the beginning would be taken for an option of what stands before it.
    """
    plain = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return ("{}" if plain.startswith("[") else "") + plain.translate(_table)


def _line(cells: Sequence[str]) -> str:
    return " & ".join(map(escape, cells)) + r" \\"


def _cell(cell: Cell) -> str:
    value = escape(cell.text)
    if cell.marks:
        value += rf"\textsuperscript{{{escape(cell.marks)}}}"
    if (result := cell.result) is None:
        return value
    small = [texts.ratio(result), texts.interval(result)] if result.value is not None else []
    if not result.complete:
        small.append(": ".join(filter(None, (texts.incomplete(result), texts.bounds(result)))))
    said = " ".join(filter(None, small))
    return rf"\textbf{{{value}}} {{\scriptsize {escape(said)}}}" if said else value
