# SPDX-License-Identifier: GPL-2.0
"""SVG face of pbmap: the same grid as the text, one <rect> per pageblock."""
from html import escape

COLUMNS = 64
CELL = 10
LABEL = 210          # pixels left of the cells

STYLE = """text{fill:#222;font:11px monospace}
.page{fill:#fff}.cell{stroke:#fff}.hole{fill:#ddd}.iso{fill:url(#hatch)}
.changed{fill:none;stroke:#000;stroke-width:2}
.f0{fill-opacity:.2}.f1{fill-opacity:.4}.f2{fill-opacity:.6}.f3{fill-opacity:.8}
@media(prefers-color-scheme:dark){text{fill:#ddd}.page{fill:#181818}
.cell{stroke:#181818}.hole{fill:#444}.changed{stroke:#fff}}"""


def svg_cell(block, x, y, old):
    """One pageblock; old is the same one in the earlier map, if any."""
    box = f'height="{CELL}" width="{CELL}" x="{x}" y="{y}"'
    if block is None:
        return f'<rect class="cell hole" {box}><title>hole</title></rect>'
    used = block.total - block.free
    level = 4 * used // block.total if block.total else 0
    colour = block.colour
    title = (f"pfn {block.pfn:#x} node {block.node} {block.zone} {block.kind}"
             f"{' isolated' if block.isolated else ''} "
             f"used {used}/{block.total}")
    out = (f'<rect class="cell f{level}" fill="{colour}" {box}>'
           f"<title>{escape(title)}</title></rect>")
    if block.isolated:
        out += f'<rect class="iso" {box} pointer-events="none"/>'
    if old is not None and old.look() != block.look():
        out += f'<rect class="changed" {box} pointer-events="none"/>'
    return out


def svg_map(themap, node, top, earlier):
    """All rows of one map below top: (lines, next free y)."""
    lines, y = [], top
    for _, label, cells in themap.rows(node):
        lines.append(f'<text x="10" y="{y + 9}">{escape(label)}</text>')
        for at, block in enumerate(cells):
            old = earlier.blocks.get(block.pfn) if earlier and block else None
            lines.append(svg_cell(block, LABEL + at % COLUMNS * CELL,
                                  y + at // COLUMNS * CELL, old))
        y += -(-len(cells) // COLUMNS) * CELL + 2
    return lines, y


def svg(maps, names, node, title, legend):
    """The picture as lines; legend counts the kinds of cells."""
    body, y, cells = [], 40, []
    for i, themap in enumerate(maps):
        if len(maps) > 1:
            body.append(f'<text x="10" y="{y + 9}">{escape(names[i])}</text>')
            y += 16
        lines, y = svg_map(themap, node, y, maps[i - 1] if i else None)
        body += lines
        y += 14
        cells += [b for _, _, row in themap.rows(node) for b in row]
    x = 10
    for _, name, colour, count in legend(cells):
        body.append(f'<rect fill="{colour}" height="{CELL}" width="{CELL}" '
                    f'x="{x}" y="{y}"/>')
        body.append(f'<text x="{x + 14}" y="{y + 9}">{name} {count}</text>')
        x += 24 + 7 * len(f"{name} {count}")
    width, height = LABEL + COLUMNS * CELL + 10, y + 20
    yield (f'<svg height="{height}" role="img" viewBox="0 0 {width} {height}" '
           f'width="{width}" xmlns="http://www.w3.org/2000/svg">')
    yield f"<title>{escape(title)}</title>"
    yield ("<desc>One cell per pageblock, one row per memory block; stronger "
           "colour: more used pages; hatched: isolated; outlined: changed "
           "since the map before.</desc>")
    yield f"<style>{STYLE}</style>"
    yield ('<defs><pattern height="4" id="hatch" patternUnits="userSpaceOnUse"'
           ' width="4"><path d="M0 4L4 0" stroke="#000"/></pattern></defs>')
    yield f'<rect class="page" height="{height}" width="{width}" x="0" y="0"/>'
    yield f'<text x="10" y="22">{escape(title)}</text>'
    yield from body
    yield "</svg>"
