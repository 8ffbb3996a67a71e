// Elements are made here and nowhere else. A text is always a text: no name of a ring is ever markup.

/// So long what was done is said.
const TOLD_MS = 10000;

/// Makes an element: `el('p', {class: 'price'}, 'text', other)`. What begins with `on` is listened to.
export function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/// Says a text, where it is not said already.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/// Says what was done, and for some seconds; `forget` then.
export function tell(node, text, forget) {
  node.hidden = !text;
  if (node.textContent === text) return;
  node.textContent = text;
  clearTimeout(node.timer);
  if (text) node.timer = setTimeout(forget, TOLD_MS);
}

/// The element of an id.
export const by = (id) => document.getElementById(id);

/// What there is to do stands beside the look-up, where there is something.
export const tasks = () => document.querySelector('main')
  .classList.toggle('with-orders', !by('orders').hidden || !by('parcels').hidden);
