"""Checks the layout of a page by the boxes of its text, and its contrasts by its colours."""

# Finds every visible piece of text, with the boxes of its lines.
PIECES = """
const within = document.querySelector(arguments[0]);
const pieces = [];
const texts = document.createTreeWalker(within, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const node = texts.currentNode, element = node.parentElement;
  if (!node.data.trim() || !element.checkVisibility() || element.closest('.unseen, h1, .history thead')?.clientWidth <= 1) continue;
  const range = document.createRange();
  range.selectNodeContents(node);
  const lines = [...range.getClientRects()].filter((line) => line.width > 0.5);
  if (lines.length) pieces.push({ node, element, lines });
}
"""

FAULTS = PIECES + """
const cutIsFine = arguments[1], faults = [], seen = [];
const name = (piece) => `"${piece.node.data.trim().slice(0, 30)}"`;
if (document.scrollingElement.scrollWidth > innerWidth) faults.push(`the page is ${document.scrollingElement.scrollWidth} wide`);
for (const piece of pieces) {
  for (let line of piece.lines) {
    let box = { left: line.left, right: line.right, top: line.top, bottom: line.bottom };
    for (let outer = piece.element; outer && outer !== document.body; outer = outer.parentElement) {
      if (getComputedStyle(outer).overflowX === 'visible' || outer.localName === 'svg') continue;
      const edge = outer.getBoundingClientRect();
      // A dialog may scroll vertically. Nothing may scroll horizontally.
      const below = line.bottom > edge.bottom + 2 && getComputedStyle(outer).overflowY === 'hidden';
      if (!cutIsFine && (line.right > edge.right + 1 || line.left < edge.left - 1 || below)) faults.push(`${name(piece)} is cut`);
      box = { left: Math.max(box.left, edge.left), right: Math.min(box.right, edge.right),
              top: Math.max(box.top, edge.top), bottom: Math.min(box.bottom, edge.bottom) };
    }
    if (box.right <= box.left || box.bottom <= box.top) continue;
    if (box.left < -0.5 || box.right > innerWidth + 0.5) faults.push(`${name(piece)} is outside the screen`);
    // The box of a line has space above and below the letters, which may overlap.
    const space = (box.bottom - box.top) * 0.2;
    seen.push({ piece, left: box.left + 1, right: box.right - 1, top: box.top + space, bottom: box.bottom - space });
  }
}
seen.forEach((a, place) => seen.slice(place + 1).forEach((b) => {
  if (a.piece !== b.piece && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
    faults.push(`${name(a.piece)} overlaps ${name(b.piece)}`);
}));
return faults;
"""

CONTRASTS = PIECES + """
const colour = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { rgb: [r, g, b], a }; };
const light = (rgb) => rgb.map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, place) => sum + c * [0.2126, 0.7152, 0.0722][place], 0);
return pieces.map(({ node, element }) => {
  let behind = element;
  while (behind && colour(getComputedStyle(behind).backgroundColor).a === 0) behind = behind.parentElement;
  const style = getComputedStyle(element);
  const ink = light(colour(element instanceof SVGElement ? style.fill : style.color).rgb);
  const ground = light(colour(getComputedStyle(behind).backgroundColor).rgb);
  const ratio = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  return [node.data.trim().slice(0, 40), Math.round(ratio * 100) / 100];
});
"""


def faults(page, within="body", cut_is_fine=False):
    """Texts that overlap, are cut off or are outside the screen, and whether the page is wider than the screen."""
    return page.run(FAULTS, within, cut_is_fine)


def contrasts(page, within="body"):
    """Each visible text and the ratio of its contrast (WCAG)."""
    return page.run(CONTRASTS, within)
