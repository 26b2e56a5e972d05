import { type ComponentChild, render } from 'preact';
import type { TabSession } from './tab-session.ts';

/** Puts the page into its document. */
export function startPage(session: TabSession, page: ComponentChild): void {
  // First of all: a token must not stay in the address bar, where it is seen, copied and kept in the history.
  session.takeTokenFromAddress();
  const place = document.getElementById('page');
  if (place) render(page, place);
}
