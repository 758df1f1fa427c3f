// Elements without markup in strings, so that no text of a station can become markup; and the patching of what stands.

const SVG = 'http://www.w3.org/2000/svg';

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === '') continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** An HTML element: h('b', {class: 'late'}, 'text', other). */
export const h = (name, attributes, ...children) => build(document.createElement(name), attributes, children);

/** An element that `make` makes, and makes anew only when its `facts`, a text, are others than those that stand under
 * `key`: of a thousand rows those are built that changed. */
export function once(name, key, facts, make) {
  const place = h(name, { 'data-key': key });
  return Object.assign(place, { facts, make });
}

const made = (place) => Object.assign(place.make(), { facts: place.facts });

/** What is inserted as a whole has no elements yet that wait to be made. */
function whole(node) {
  if (node.make) return made(node);
  if (node.nodeType === 1) for (const place of node.querySelectorAll('[data-key]')) if (place.make) place.replaceWith(made(place));
  return node;
}

/** An SVG element. */
export const s = (name, attributes, ...children) => build(document.createElementNS(SVG, name), attributes, children);

// What a person changed and we do not set: it outlives a new picture.
const THEIRS = new Set(['open', 'value', 'checked']);

function sameAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !THEIRS.has(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !THEIRS.has(name)) old.setAttribute(name, value);
  }
}

const keyOf = (node) => (node.nodeType === 1 ? node.getAttribute('data-key') : null);

function sameChildren(old, fresh) {
  const keyed = new Map([...old.childNodes].filter(keyOf).map((node) => [keyOf(node), node]));
  const plain = [...old.childNodes].filter((node) => !keyOf(node));
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const key = keyOf(wanted);
    const at = key ? -1 : plain.findIndex((node) => node.nodeName === wanted.nodeName);
    const found = key ? keyed.get(key) : plain.splice(at, at < 0 ? 0 : 1)[0];
    if (found && found.nodeName === wanted.nodeName) {
      keyed.delete(key);
      if (found !== place) old.insertBefore(found, place);
      else place = place.nextSibling;
      renew(found, wanted);
    } else {
      old.insertBefore(whole(wanted), place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function renew(found, wanted) {
  if (!wanted.make) morph(found, wanted);
  else if (found.facts !== wanted.facts) {
    morph(found, wanted.make());
    found.facts = wanted.facts;
  }
}

/** Makes `old` look like `fresh` and keeps its elements, so that focus, scrolling and open details stay where they are.
 * What is marked `data-keep` (map, chart) is left alone inside. */
function morph(old, fresh) {
  if (old.nodeType !== 1) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.hasAttribute('data-keep')) {
    for (const { name, value } of fresh.attributes) old.setAttribute(name, value); // its own classes stay
    return;
  }
  sameAttributes(old, fresh);
  sameChildren(old, fresh);
}

/** Shows `children` in `element`. */
export function show(element, ...children) {
  const focused = document.activeElement;
  const fresh = build(element.cloneNode(false), {}, children);
  sameChildren(element, fresh);
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}
