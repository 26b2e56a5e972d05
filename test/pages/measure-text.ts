export interface TextMeasure {
  readonly text: string;
  /** WCAG 2.2 contrast ratio of the text to the ground it stands on. */
  readonly contrast: number;
  readonly px: number;
}

/**
 * Script for the page: contrast and size of every text that is shown. Grounds are opaque here, so the nearest ancestor with a
 * ground decides. Texts for screen readers only (`.aside`) are not seen and not measured.
 */
export const measureText = `(() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const groundOf = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = numbers(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const measured = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    const text = node.textContent.trim();
    if (text === '' || element.closest('.aside, noscript, script') || element.getClientRects().length === 0) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(numbers(style.color)), light(groundOf(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    measured.push({ text: text.slice(0, 40), contrast, px: parseFloat(style.fontSize) });
  }
  return measured;
})()`;
