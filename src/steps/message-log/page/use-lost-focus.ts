import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';

/**
 * What was dealt with leaves the view, and its buttons with it. The focus would fall to the top of the page: who uses the keyboard goes on where the view begins instead, and who hears the
 * page hears where that is.
 */
export function useLostFocus(
  view: RefObject<HTMLElement | null>,
  refuge: RefObject<HTMLElement | null>,
): void {
  useEffect(() => {
    const within = view.current;
    if (within === null) return;
    let last: EventTarget | null = null;
    const onFocus = (event: FocusEvent) => {
      last = event.target;
    };
    const watch = new MutationObserver(() => {
      const isLost = last instanceof Node && !last.isConnected && document.activeElement === document.body;
      if (isLost) refuge.current?.focus({ preventScroll: true });
    });
    within.addEventListener('focusin', onFocus);
    watch.observe(within, { childList: true, subtree: true });
    return () => {
      within.removeEventListener('focusin', onFocus);
      watch.disconnect();
    };
  }, []);
}
