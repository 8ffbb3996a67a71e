// One question at a time, over everything else. Esc, and a button, leave it.

import { by, el } from './dom.js';
import { t } from './words.js';

let scanned = null;
let about = null;

/// What the open question is about; none where there is none.
export const isAsked = () => about;

/// Asks; `heard`, where it is given, takes the scans meanwhile.
export function ask(what, title, content, heard) {
  const box = by('dialog');
  [about, scanned] = [what, heard ?? null];
  box.replaceChildren(el('h1', null, title), ...content.filter(Boolean),
    el('p', { id: 'answered', class: 'bad', role: 'alert' }),
    // Where there is nothing to type, the focus is on what does no harm: Enter may have been pressed twice.
    el('button', { type: 'button', class: 'big', id: 'leave', autofocus: !heard, onclick: leave }, t('leave')));
  if (!box.open) box.showModal();
}

/// Says something in the open question.
export function answerAsked(what, text) {
  if (about === what) by('answered').textContent = text;
}

/// Closes it.
export function leave() {
  by('dialog').close();
}

/// Whether the open question took a scan.
export function isHeardByDialog(code) {
  if (!about || !scanned) return false;
  scanned(code);
  return true;
}

/// Makes the element.
export function makeDialog() {
  by('dialog').addEventListener('close', () => { [about, scanned] = [null, null]; });
}
