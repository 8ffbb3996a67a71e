// Looking a piece up: what is here, and which shops near have it. The newest answer is on top.

import { by, el } from './dom.js';
import { call, isForLater } from './call.js';
import { isConnected, lastHeard } from './lamp.js';
import { looked } from './orders.js';
import { enqueue, onQueue, queued } from './queue.js';
import { distance, drawn, money, number, t, time } from './words.js';

/// So many answers stay on the page.
const MOST = 6;

/// `{text, items}` or `{text, problem}`, each with its card; the newest first.
let answers = [];

/// Looks a code or an article up, when it is its turn.
export function lookUp(text) {
  enqueue(text, async () => {
    const path = `/v1/stock/${encodeURIComponent(text)}`;
    let answer = await call('GET', path);
    if (answer.status === 404) answer = await call('GET', `/v1/stock?article=${encodeURIComponent(text)}`);
    if (isForLater(answer)) return false;
    const { status, body } = answer;
    if (status === 200) show({ text, items: body.items ?? [body] });
    else show({ text, problem: status === 404 ? null : body?.detail ?? String(status) });
    return true;
  });
}

function show(answer) {
  answer.card = card(answer);
  looked(answer.items?.length === 1 ? answer.items[0].barcode : null);
  answers = [answer, ...answers.filter((other) => other.text !== answer.text)].slice(0, MOST);
  drawFound();
}

function attributes(item) {
  const { size, stone, metal, fineness, weight, ...others } = item.attributes ?? {};
  const named = (name, value) => value && t(name, value);
  return [named('size', size), stone, metal, named('fineness', fineness), named('weight', weight),
    ...Object.entries(others).map(([name, value]) => `${name}: ${value}`)].filter(Boolean).join(' · ');
}

const withoutLine = () => !isConnected() && el('p', { class: 'hint' }, t('elsewhere_old', time(lastHeard())));

function elsewhere(item) {
  const shops = (item.others ?? []).filter((shop) => shop.on_hand > 0);
  const sure = (shop) => {
    if (shop.confidence === 'unknown') return t('unsure');
    if (!isConnected() || shop.confidence === 'stale') return t('as_of', time(shop.as_of));
    return shop.confidence === 'closed' ? t('shut') : '';
  };
  const row = (shop) => el('tr', { class: shop.available > 0 ? null : 'none' },
    el('td', null, el('b', null, shop.name || shop.shop), shop.city ? `, ${shop.city}` : ''),
    el('td', { class: 'far' }, shop.distance_km === null ? '' : distance(shop.distance_km)),
    el('td', { class: 'hint' }, sure(shop)),
    el('td', { class: 'count' }, number(shop.available)));
  return el('div', null,
    shops.length === 0 ? el('p', { class: 'hint' }, t('nowhere')) : el('h3', null, t('elsewhere')),
    withoutLine(),
    el('table', null, el('tbody', null, shops.map(row))));
}

function figures(item) {
  const notes = [
    item.held > 0 && t('for_orders', number(item.held)),
    item.unavailable > 0 && t('not_for_sale', number(item.unavailable)),
  ].filter(Boolean).join(' · ');
  return [
    item.price && el('p', { class: 'price' }, money(item.price)),
    notes && el('p', { class: 'notes' }, notes),
    item.on_hand < 0 && el('p', { class: 'bad' }, t('below', number(item.on_hand))),
    elsewhere(item),
  ];
}

function whole(item) {
  return [
    el('div', { class: 'top' },
      el('div', null,
        el('h2', null, item.name ?? item.article ?? item.barcode),
        el('p', null, [item.article && t('article', item.article), attributes(item)].filter(Boolean).join(' · ')),
        el('p', { class: 'code' }, item.barcode)),
      el('div', { class: item.available > 0 ? 'here some' : 'here' },
        el('span', null, t('here')), el('b', { class: 'available' }, number(item.available)))),
    ...figures(item),
  ];
}

/// An article has many pieces: a line each, which opens.
function lineOf(item) {
  const far = (item.others ?? []).reduce((sum, shop) => sum + Math.max(0, shop.available), 0);
  return el('details', null,
    el('summary', null, el('b', null, attributes(item) || item.barcode),
      el('span', { class: item.available > 0 ? 'tally some' : 'tally' }, `${t('here')}: ${number(item.available)}`),
      el('span', { class: 'tally' }, t('far', number(far)))),
    el('p', { class: 'code' }, item.barcode), figures(item));
}

function card({ text, items, problem }) {
  if (!items) {
    return el('article', { class: 'card bad-card', 'data-code': text },
      el('h2', null, problem === null ? t('unknown') : t('failed')),
      el('p', { class: 'code' }, text),
      el('p', null, problem ?? t('unknown_do')), problem === null && withoutLine());
  }
  if (items.length === 1) return el('article', { class: 'card', 'data-code': text }, whole(items[0]));
  const bySize = (one, two) => (parseFloat(one.attributes?.size) || 0) - (parseFloat(two.attributes?.size) || 0);
  return el('article', { class: 'card', 'data-code': text },
    el('h2', null, items[0].name ?? ''),
    el('p', null, t('article', items[0].article ?? text)),
    [...items].sort(bySize).map(lineOf));
}

function drawFound() {
  by('found').replaceChildren(...answers.map((answer) => answer.card));
}

function drawQueue() {
  const texts = queued();
  const line = by('queued');
  line.hidden = texts.length === 0;
  line.replaceChildren(t('kept'), ...texts.map((text) => el('code', null, text)));
}

function draw() {
  const typed = by('code')?.value ?? '';
  const hadFocus = document.activeElement === by('code');
  const submit = (event) => {
    event.preventDefault();
    const text = by('code').value.trim();
    by('code').value = '';
    if (text) lookUp(text);
  };
  by('look').replaceChildren(
    el('form', { class: 'ask', onsubmit: submit },
      el('label', { for: 'code' }, t('look')),
      el('input', { id: 'code', autocomplete: 'off', spellcheck: 'false', maxlength: 128, enterkeyhint: 'search' }),
      el('button', { type: 'submit', class: 'go' }, t('find'))),
    el('p', { id: 'queued', class: 'kept', role: 'status', hidden: true }),
    el('div', { id: 'asked', class: 'card asked', role: 'status', hidden: true }),
    el('div', { id: 'found', 'aria-live': 'polite' }));
  by('code').value = typed;
  if (hadFocus) by('code').focus();
  drawQueue();
  answers.forEach((answer) => { answer.card = card(answer); });
  drawFound();
}

/// Makes the view.
export function makeLookUp() {
  onQueue(drawQueue);
  drawn(draw);
}

/// Shows it; a keyboard, where there is one, types into it.
export function showLookUp(isShown) {
  const view = by('look');
  if (view.hidden === !isShown) return;
  view.hidden = !isShown;
  if (isShown && matchMedia('(pointer: fine)').matches) by('code').focus();
}
