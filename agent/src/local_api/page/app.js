// The shop's page: puts its parts together.

import { onSignedOut } from './call.js';
import { isHeardByDialog, makeDialog } from './dialog.js';
import { watchLamp } from './lamp.js';
import { lookUp, makeLookUp, showLookUp } from './lookup.js';
import { forgetOrders, makeOrders, watchOrders } from './orders.js';
import { forgetParcels, makeParcels, watchParcels } from './parcels.js';
import { hearScans } from './scan.js';
import { makeSignIn, showSignIn } from './signin.js';

let isSignedIn = false;

function sign(is) {
  if (isSignedIn && !is) {
    forgetOrders();
    forgetParcels();
  }
  isSignedIn = is;
  showSignIn(!is);
  showLookUp(is);
}

makeSignIn(() => sign(true));
makeDialog();
makeOrders();
makeParcels();
makeLookUp();
onSignedOut(() => sign(false));
// A pairing code is typed as fast by some.
hearScans(() => isSignedIn, (code) => isHeardByDialog(code) || lookUp(code));
watchLamp((status) => {
  if (status === 200) sign(true);
});
watchOrders(() => isSignedIn);
watchParcels(() => isSignedIn);
