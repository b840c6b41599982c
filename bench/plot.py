"""Draws medians as bars: one group a work, one bar a program."""

COLOURS = {
    "offtake": "#1b6ca8",
    "offtake fast": "#5fa3d3",
    "datafusion": "#d98200",
    "duckdb": "#c9a900",
    "polars": "#5b8c5a",
    "pyarrow": "#8d6cab",
    "spark": "#c0504d",
    "cp": "#777777",
    "rclone": "#3d9be9",
}
LEFT, WIDTH, BAR, GAP = 190, 560, 15, 16


def draw(rows, title):
    """The drawing of rows of (work, program, seconds) in their order."""
    longest = max(seconds for _, _, seconds in rows) or 1
    parts, y, last = [], 56, None
    for work, program, seconds in rows:
        if work != last:
            y += GAP if last else 0
            parts.append(f'<text x="{LEFT - 10}" y="{y + 12}" text-anchor="end" font-weight="bold">{work}</text>')
            last = work
        width = max(1, seconds / longest * WIDTH)
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{COLOURS[program]}"/>')
        parts.append(f'<text x="{LEFT + width + 6:.1f}" y="{y + 12}">{program} {seconds:.2f} s</text>')
        y += BAR + 2
    head = f'<text x="20" y="30" font-size="16" font-weight="bold">{title}</text>'
    size = f'width="{LEFT + WIDTH + 160}" height="{y + 24}"'
    style = 'font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}><rect width="100%" height="100%" fill="white"/>{head}{"".join(parts)}</svg>\n'
