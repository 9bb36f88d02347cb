/** What elements of the package are made of inside. */

/** One for all elements of a kind in a window, by their text: a sheet belongs to the document that it was made for. */
const sheets = new WeakMap<Window, Map<string, CSSStyleSheet>>();

/**
 * Styles what is inside of an element; again where it was moved into another document. A sheet that is made, not written into
 * the page, is within any Content-Security-Policy.
 *
 * @internal
 */
export function style(root: ShadowRoot, text: string): void {
  const window = root.ownerDocument.defaultView;
  // A document without a window shows nothing.
  if (window === null) {
    return;
  }
  const known = sheets.get(window) ?? new Map<string, CSSStyleSheet>();
  sheets.set(window, known);
  let sheet = known.get(text);
  if (sheet === undefined) {
    sheet = new window.CSSStyleSheet();
    sheet.replaceSync(text);
    known.set(text, sheet);
  }
  root.adoptedStyleSheets = [sheet];
}

/**
 * An element that is styled by its class in here, and by its part from outside.
 *
 * @internal
 */
export function part(tag: string, name: string, ...children: Node[]): HTMLElement {
  const element = document.createElement(tag);
  element.className = name;
  element.part = name;
  element.append(...children);
  return element;
}

/**
 * The nearest `lang`, also outside of the shadow that an element is in.
 *
 * @internal
 */
export function languageOf(element: Element): string {
  const named = element.closest<HTMLElement>('[lang]');
  const { host } = element.getRootNode() as Partial<ShadowRoot>;
  return named?.lang ?? (host === undefined ? '' : languageOf(host));
}
