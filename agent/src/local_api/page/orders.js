// Web orders: what is asked, what is kept, what goes back, and whose a sale was. Two large buttons; the piece's scan is the yes.

import { by, el, say, tasks, tell } from './dom.js';
import { call, isForLater } from './call.js';
import { answerAsked, ask, isAsked, leave } from './dialog.js';
import { titled } from './lamp.js';
import { enqueue } from './queue.js';
import { isSilent, prepareSound, ring } from './sound.js';
import { drawn, number, t, time } from './words.js';

const EVERY_MS = 2000;
/// It rings again while nobody answers.
const AGAIN_MS = 60000;
const REASONS = ['sold', 'not_found', 'damaged', 'showcase', 'other'];

let holds = [];
let questions = [];
let drawnFrom = '';
let told = '';
let scannedBarcode = null;
let rang = { at: 0, known: new Set() };

const can = (hold, action) => hold.actions.includes(action);
const isAskedFor = (hold) => can(hold, 'confirm') && !hold.waits_for_piece;
/// It is to leave for another shop: it has its card among the parcels, and none here.
const isSent = (hold) => hold.transfer_to !== null && can(hold, 'decline');

/// What head office moves without a document is no order: the hub calls it by the shop that it goes to.
const orderOf = (hold) => (hold.order.startsWith('→ ') ? t('of_office') : hold.order);

function piece(hold) {
  const words = [hold.article && t('article', hold.article), hold.size && t('size', hold.size),
    hold.qty > 1 && t('pieces', number(hold.qty))].filter(Boolean).join(' · ');
  return [el('h2', null, hold.name ?? hold.article ?? hold.barcode), words && el('p', null, words),
    el('p', { class: 'code' }, hold.barcode)];
}

/// Says yes, by the code of the piece.
function confirm(hold, barcode) {
  enqueue(barcode, async () => {
    const answer = await call('POST', `/v1/holds/${hold.leg}/confirm`, { barcode });
    if (isForLater(answer)) {
      answerAsked(hold.leg, t('answer_later'));
      return false;
    }
    const wrong = { other_piece: t('other_piece', barcode, hold.barcode), insufficient_stock: t('not_in_books') };
    const because = wrong[answer.body?.code];
    if (because && isAsked() === hold.leg) answerAsked(hold.leg, because);
    else finish(hold.leg, answer, because ?? t('confirmed', orderOf(hold)));
    return true;
  });
}

function decline(hold, reason) {
  leave();
  enqueue(hold.barcode, async () => {
    const answer = await call('POST', `/v1/holds/${hold.leg}/decline`, { reason });
    if (isForLater(answer)) return false;
    finish(hold.leg, answer, t('declined', orderOf(hold)));
    return true;
  });
}

function settle(question, hold) {
  const body = hold ? { whose: 'order', hold: hold.leg } : { whose: 'other' };
  enqueue(question.barcode, async () => {
    const answer = await call('POST', `/v1/questions/${question.id}`, body);
    if (isForLater(answer)) return false;
    finish(question.id, answer, t('thanks'));
    return true;
  });
}

function finish(what, answer, text) {
  if (isAsked() === what) leave();
  told = answer.status === 200 ? text : answer.body?.detail ?? t('failed');
  look();
  draw();
}

function askToScan(hold) {
  const typed = (event) => {
    event.preventDefault();
    const code = by('piece').value.trim();
    if (code) confirm(hold, code);
  };
  ask(hold.leg, t('scan_piece'), [...piece(hold),
    el('form', { class: 'ask', onsubmit: typed },
      el('label', { for: 'piece' }, t('or_type')),
      el('input', { id: 'piece', autocomplete: 'off', inputmode: 'numeric', maxlength: 128, autofocus: true }),
      el('button', { type: 'submit', class: 'go' }, t('keep')))],
  (code) => confirm(hold, code));
}

function askWhy(hold) {
  ask(hold.leg, t('why_not'), [...piece(hold), ...REASONS.map((reason) => el('button',
    { type: 'button', class: 'big', 'data-reason': reason, onclick: () => decline(hold, reason) }, t(`reason_${reason}`)))]);
}

/// Asks about a piece that is to be sent, from its card among the parcels: for its scan, or why it is not here.
export function askOfSent(id, action) {
  const hold = holds.find((one) => one.id === id && isSent(one));
  if (hold) (action === 'confirm' ? askToScan : askWhy)(hold);
}

function requested(hold) {
  return el('article', { class: 'card order new', 'data-order': hold.order },
    el('p', { class: 'badge' }, t('order_asks', orderOf(hold), time(hold.created_at))),
    piece(hold),
    el('div', { class: 'two' },
      el('button', { type: 'button', class: 'big go', 'data-key': `yes ${hold.leg}`, onclick: () => askToScan(hold) }, t('have_it')),
      el('button', { type: 'button', class: 'big no', 'data-key': `no ${hold.leg}`, onclick: () => askWhy(hold) }, t('have_not'))));
}

function kept(hold) {
  const note = hold.waits_for_piece ? t('comes', orderOf(hold)) : t('order_keeps', orderOf(hold), time(hold.expires_at));
  return el('article', { class: 'card order', 'data-order': hold.order },
    el('p', { class: 'badge' }, note), piece(hold),
    can(hold, 'decline') && !hold.waits_for_piece && el('button',
      { type: 'button', class: 'quiet', 'data-key': `gone ${hold.leg}`, onclick: () => askWhy(hold) }, t('is_gone')));
}

function toPutBack(hold) {
  const done = () => enqueue(hold.barcode, async () => {
    const answer = await call('POST', `/v1/holds/${hold.leg}/put_back`);
    if (isForLater(answer)) return false;
    finish(hold.leg, answer, t('thanks'));
    return true;
  });
  return el('article', { class: 'card order back', 'data-order': hold.order },
    el('p', { class: 'badge' }, t('order_over', orderOf(hold))), piece(hold),
    el('button', { type: 'button', class: 'big', 'data-key': `back ${hold.leg}`, onclick: done }, t('is_back')));
}

function question(asked) {
  const sold = asked.receipt ? t('sold_by_receipt', asked.receipt, time(asked.sold_at)) : t('sold_at', time(asked.sold_at));
  const button = (key, text, hold) => el('button',
    { type: 'button', class: 'big', 'data-key': `${key} ${asked.id}`, onclick: () => settle(asked, hold) }, text);
  return el('article', { class: 'card order new', 'data-question': asked.barcode },
    el('p', { class: 'badge' }, t('whose')),
    el('h2', null, asked.name ?? asked.barcode), el('p', { class: 'code' }, asked.barcode), el('p', null, sold),
    asked.holds.map((hold) => button(hold.leg, t('of_order', orderOf(hold)), hold)),
    button('other', t('of_other')), el('p', { class: 'hint' }, t('of_other_hint')));
}

/// The piece that was looked up last is one that an order asks for: one press keeps it.
function drawAsked() {
  const hold = holds.find((one) => isAskedFor(one) && one.barcode === scannedBarcode);
  const place = by('asked');
  if (!place) return;
  place.hidden = !hold;
  if (!hold) return;
  place.replaceChildren(el('p', null, t('asked_for', orderOf(hold))),
    el('button', { type: 'button', class: 'big go', onclick: () => confirm(hold, scannedBarcode) }, t('keep_for', orderOf(hold))));
}

/// Tells which piece was looked up last.
export function looked(barcode) {
  scannedBarcode = barcode;
  told = '';
  draw();
}

function draw() {
  const all = [
    ...questions.map(question),
    ...holds.filter((hold) => isAskedFor(hold) && !isSent(hold)).map(requested),
    ...holds.filter((hold) => can(hold, 'put_back')).map(toPutBack),
    ...holds.filter((hold) => !isAskedFor(hold) && !can(hold, 'put_back') && !isSent(hold)).map(kept),
  ];
  const focused = document.activeElement?.dataset.key;
  by('orders').hidden = all.length === 0 && !told;
  tasks();
  by('list').replaceChildren(el('h1', null, t('orders')), ...all);
  if (focused) by('list').querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  tell(by('told'), told, () => looked(scannedBarcode));
  by('silent').hidden = !isSilent() || all.length === 0;
  say(by('silent'), t('no_sound'));
  titled(holds.filter(isAskedFor).length + questions.length);
  drawAsked();
}

/// Rings for what is new, and again while it waits.
function callFor() {
  const waiting = [...holds.filter(isAskedFor).map((hold) => hold.leg), ...questions.map((asked) => asked.id)];
  const isNew = waiting.some((id) => !rang.known.has(id));
  if (isNew || (waiting.length > 0 && Date.now() - rang.at > AGAIN_MS)) {
    ring();
    rang.at = Date.now();
  }
  if (isNew) told = '';
  rang.known = new Set(waiting);
}

async function look() {
  const [asked, unsaid] = await Promise.all([call('GET', '/v1/holds'), call('GET', '/v1/questions')]);
  if (asked.status !== 200) return;
  holds = asked.body.items;
  questions = unsaid.body?.items ?? [];
  const from = JSON.stringify([holds, questions]);
  if (from === drawnFrom) {
    callFor();
    return;
  }
  drawnFrom = from;
  callFor();
  const open = isAsked();
  if (open && !open.startsWith('parcel ') && !holds.some((hold) => hold.leg === open && hold.actions.includes('decline'))) {
    leave();
    told = t('not_needed');
  }
  draw();
}

/// Makes the view.
export function makeOrders() {
  by('orders').append(el('p', { id: 'told', class: 'told', role: 'status', hidden: true }),
    el('p', { id: 'silent', class: 'kept', hidden: true }), el('div', { id: 'list' }));
  drawn(draw);
  prepareSound(draw);
}

/// Looks for ever, while `isOn()`.
export async function watchOrders(isOn) {
  for (;;) {
    if (isOn()) await look();
    await new Promise((wake) => setTimeout(wake, EVERY_MS));
  }
}

/// Hides them while nobody is signed in.
export function forgetOrders() {
  [holds, questions, drawnFrom, told] = [[], [], '', ''];
  leave();
  draw();
}
