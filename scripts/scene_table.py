# SPDX-License-Identifier: GPL-2.0
"""Tables of results: one row for each kind of machine, and how numbers look."""
PAGES_PER_MB = 256
M = 1e6


def mb(pages):
    return None if pages is None else f"{pages / PAGES_PER_MB:.1f}"


def millions(ticks):
    return None if ticks is None else f"{ticks / M:.2f}"


def percent(part, whole):
    return f"{100 * part / whole:.1f}" if whole and part is not None else None


def share(part, whole):
    """In percent, as a number."""
    return round(100 * part / whole, 1) if whole else None


def show(rows, columns):
    """One row for each kind; columns that no kind has are left out."""
    columns = [(head, fn) for head, fn in columns
               if any(fn(r) is not None for r in rows.values())]
    cells = [["kind"] + [head for head, _ in columns]]
    for kind, result in rows.items():
        cells.append([kind] + ["-" if fn(result) is None else str(fn(result))
                               for _, fn in columns])
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for row in cells:
        print(row[0].ljust(widths[0]) + "".join(
            "  " + cell.rjust(width)
            for cell, width in zip(row[1:], widths[1:])))
