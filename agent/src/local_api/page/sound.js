// The sound of a new order: two tones that the browser makes itself.

const TONES = [[784, 0], [1047, 0.18], [784, 0.6], [1047, 0.78]];
const TONE_S = 0.16;

let audio = null;
let changed = () => {};

/// Browsers are silent until somebody has pressed something.
export const isSilent = () => audio === null || audio.state !== 'running';

function wake() {
  audio ??= new AudioContext();
  if (audio.state !== 'running') audio.resume().then(changed, () => {});
}

/// Makes ready for the first sound; `act` hears that there will be some.
export function prepareSound(act) {
  changed = act;
  for (const what of ['keydown', 'pointerdown']) addEventListener(what, wake, true);
}

/// Rings.
export function ring() {
  if (isSilent()) return;
  for (const [pitch, after] of TONES) {
    const [tone, volume] = [audio.createOscillator(), audio.createGain()];
    const begin = audio.currentTime + after;
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0, begin);
    volume.gain.linearRampToValueAtTime(0.5, begin + 0.02);
    volume.gain.linearRampToValueAtTime(0, begin + TONE_S);
    tone.connect(volume).connect(audio.destination);
    tone.start(begin);
    tone.stop(begin + TONE_S);
  }
}
