// Parcels between shops: what is to be sent, what is on its way here. The scan of a piece sends it or takes it in.

import { by, el, tasks, tell } from './dom.js';
import { call, isForLater } from './call.js';
import { answerAsked, ask, isAsked, leave } from './dialog.js';
import { askOfSent } from './orders.js';
import { enqueue } from './queue.js';
import { drawn, number, t, time } from './words.js';

const EVERY_MS = 3000;

let parcels = [];
let drawnFrom = '';
let told = '';

const can = (parcel, action) => parcel.actions.includes(action);
/// What a question about it is about; a hold's own name is the orders'.
const keyOf = (parcel) => `parcel ${parcel.id ?? parcel.hold}`;
/// What head office asks for without a document has no name of its own.
const nameOf = (parcel) => parcel.document
  ?? (parcel.order && !parcel.order.startsWith('→ ') ? t('for_order', parcel.order) : '');

/// Every scan is one piece: its own key, so that a call that is repeated takes in one.
function scanKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/// How much of a line is still to leave or under way.
const left = (parcel, line) => (parcel.direction === 'in' ? line.awaited : line.sent - line.received);
const leftOf = (parcel) => parcel.lines.filter((line) => left(parcel, line) > 0);

function lines(parcel) {
  return el('table', null, el('tbody', null, leftOf(parcel).map((line) => el('tr', null,
    el('td', null, el('b', null, line.name ?? line.article ?? line.barcode), ' ', el('span', { class: 'code' }, line.barcode)),
    el('td', { class: 'count' }, number(left(parcel, line)))))));
}

/// Sends or takes in what was scanned; `more` goes into the call.
function scanned(parcel, action, barcode, more = {}) {
  const [about, key] = [keyOf(parcel), scanKey()];
  const body = action === 'ship' ? { barcode, hold: parcel.hold, to: parcel.to } : { barcode, transfer: parcel.id, ...more };
  enqueue(barcode, async () => {
    const answer = await call('POST', `/v1/transfers/${action}`, body, key);
    if (isForLater(answer)) {
      answerAsked(about, t('answer_later'));
      return false;
    }
    if (answer.status !== 201) {
      refused(parcel, action, barcode, answer.body);
      return true;
    }
    const code = answer.body.barcode;
    const known = parcel.lines.find((line) => line.barcode === code) ?? (await call('GET', `/v1/stock/${encodeURIComponent(code)}`)).body;
    const name = known?.name ?? code;
    told = t(action === 'ship' ? 'shipped' : 'received', name);
    await look();
    const rest = parcels.find((one) => keyOf(one) === about && can(one, action));
    if (!rest && isAsked() === about) leave();
    if (rest && isAsked() === about) askToScan(rest, action);
    draw();
    return true;
  });
}

function refused(parcel, action, barcode, body) {
  const wrong = { other_piece: t('other_piece', barcode, parcel.lines[0]?.barcode), other_than_sent: t('not_in_parcel', barcode) };
  const because = wrong[body?.code] ?? body?.detail ?? t('failed');
  answerAsked(keyOf(parcel), because);
  const place = by('all_the_same');
  if (!place || body?.code !== 'other_than_sent') return;
  place.replaceChildren(el('button', { type: 'button', class: 'big no',
    onclick: () => scanned(parcel, action, barcode, { force: true, damaged: isDamaged() }) }, t('take_all_the_same')));
}

const isDamaged = () => by('damaged')?.checked ?? false;

function askToScan(parcel, action) {
  const take = (code) => scanned(parcel, action, code, action === 'receive' && isDamaged() ? { damaged: true } : {});
  const typed = (event) => {
    event.preventDefault();
    const code = by('piece').value.trim();
    by('piece').value = '';
    if (code) take(code);
  };
  ask(keyOf(parcel), t(action === 'ship' ? 'scan_to_ship' : 'scan_to_receive'), [
    told && el('p', { class: 'told' }, told), lines(parcel),
    el('form', { class: 'ask', onsubmit: typed },
      el('label', { for: 'piece' }, t('or_type')),
      el('input', { id: 'piece', autocomplete: 'off', inputmode: 'numeric', maxlength: 128, autofocus: true }),
      el('button', { type: 'submit', class: 'go' }, t(action === 'ship' ? 'ship' : 'receive'))),
    action === 'receive' && el('label', { class: 'tick' }, el('input', { type: 'checkbox', id: 'damaged' }), ' ', t('is_damaged')),
    el('div', { id: 'all_the_same' })], take);
}

function cancel(parcel) {
  enqueue(nameOf(parcel), async () => {
    const answer = await call('POST', '/v1/transfers/cancel', { transfer: parcel.id });
    if (isForLater(answer)) return false;
    told = answer.status === 200 ? t('taken_back') : answer.body?.detail ?? t('failed');
    await look();
    draw();
    return true;
  });
}

function title(parcel) {
  const isOut = parcel.direction === 'out';
  const [code, name] = [(isOut ? parcel.to : parcel.from) ?? '?', parcel.with_name ?? ''];
  const shop = name && name !== code ? `${name} (${code})` : code;
  const what = [shop, nameOf(parcel)].filter(Boolean).join(': ');
  if (parcel.state === 'requested') return t('to_ship', what);
  if (!isOut) return t('under_way_from', what, time(parcel.since));
  return leftOf(parcel).length > 0 ? t('under_way_to', what, time(parcel.since)) : t('arrived', what);
}

function card(parcel) {
  const begin = (action) => () => {
    told = '';
    askToScan(parcel, action);
  };
  const button = (action, kind, text, act) => can(parcel, action) && el('button',
    { type: 'button', class: kind, 'data-key': `${action} ${keyOf(parcel)}`, onclick: act }, text);
  const differs = ['other_than_sent', 'not_sent'].includes(parcel.state);
  return el('article', { class: can(parcel, 'ship') ? 'card order new' : 'card order', 'data-parcel': nameOf(parcel) },
    el('p', { class: 'badge' }, title(parcel)),
    differs && el('p', { class: 'bad' }, t(`parcel_${parcel.state}`)),
    lines(parcel),
    button('ship', 'big go', t('ship'), begin('ship')),
    button('confirm', 'quiet', t('have_it'), () => askOfSent(parcel.hold, 'confirm')),
    button('decline', 'quiet', t('have_not'), () => askOfSent(parcel.hold, 'decline')),
    button('receive', 'big go', t('receive'), begin('receive')),
    button('cancel', 'quiet', t('take_back'), () => cancel(parcel)));
}

function draw() {
  const focused = document.activeElement?.dataset.key;
  const rank = (parcel) => ['ship', 'receive', 'cancel'].findIndex((action) => can(parcel, action));
  const all = [...parcels].sort((one, two) => (rank(one) + 4) % 4 - (rank(two) + 4) % 4).map(card);
  by('parcels').hidden = all.length === 0 && !told;
  tasks();
  by('parcel_list').replaceChildren(el('h1', null, t('parcels')), ...all);
  if (focused) by('parcel_list').querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  tell(by('parcel_told'), told, () => {
    told = '';
    draw();
  });
}

async function look() {
  const answer = await call('GET', '/v1/transfers');
  if (answer.status !== 200) return;
  const from = JSON.stringify(answer.body.items);
  if (from === drawnFrom) return;
  [parcels, drawnFrom] = [answer.body.items, from];
  draw();
}

/// Makes the view.
export function makeParcels() {
  by('parcels').append(el('p', { id: 'parcel_told', class: 'told', role: 'status', hidden: true }), el('div', { id: 'parcel_list' }));
  drawn(draw);
}

/// Looks for ever, while `isOn()`.
export async function watchParcels(isOn) {
  for (;;) {
    if (isOn()) await look();
    await new Promise((wake) => setTimeout(wake, EVERY_MS));
  }
}

/// Hides them while nobody is signed in.
export function forgetParcels() {
  [parcels, drawnFrom, told] = [[], '', ''];
  draw();
}
