/** Building blocks for the shadow trees of the package's elements. */

/**
 * Style sheets by window and text, shared by all elements of a kind. A sheet can only be used in the document that it
 * was made for.
 */
const sheets = new WeakMap<Window, Map<string, CSSStyleSheet>>();

/**
 * Styles a shadow tree; call it again if the element moves to another document. A constructed sheet, unlike a `<style>`
 * element, works with any Content-Security-Policy.
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
 * An element that is styled by its class from within the shadow tree, and by its part from outside.
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
 * The nearest `lang`, also outside of the element's shadow tree.
 *
 * @internal
 */
export function languageOf(element: Element): string {
  const named = element.closest<HTMLElement>('[lang]');
  const { host } = element.getRootNode() as Partial<ShadowRoot>;
  return named?.lang ?? (host === undefined ? '' : languageOf(host));
}
