import { useEffect, useRef } from 'preact/hooks';

export type KeyAction = 'next' | 'previous' | 'first' | 'last' | 'open' | 'filter' | 'help' | 'back';

/** What each key does; `inFilter` tells whether the filter box had the focus. */
export type KeyActions = Readonly<Record<KeyAction, (inFilter?: boolean) => void>>;

const KEYS: Readonly<Record<string, KeyAction>> = {
  ArrowDown: 'next',
  ArrowUp: 'previous',
  Home: 'first',
  End: 'last',
  Enter: 'open',
  Escape: 'back',
  j: 'next',
  k: 'previous',
  '/': 'filter',
  '?': 'help',
};

/** Keys that are single characters can be switched off, for those who work by voice (WCAG 2.2, 2.1.4). */
const isCharacter = (key: string) => key.length === 1;

/**
 * Listens for the keys of the worklist on the whole page. Keys with Ctrl, Alt or Meta are the browser's. While a text field
 * or a control has the focus, only the keys that mean nothing to it are taken.
 */
export function useKeyboard(actions: KeyActions, characterKeys: boolean): void {
  const latest = useRef({ actions, characterKeys });
  latest.current = { actions, characterKeys };
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const action = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : undefined;
      if (!action || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
      if (isCharacter(event.key) && !latest.current.characterKeys) return;
      if (belongsToTarget(event)) return;
      latest.current.actions[action](event.target instanceof HTMLInputElement);
      event.preventDefault();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}

function belongsToTarget({ target, key }: KeyboardEvent): boolean {
  if (!(target instanceof Element)) return false;
  if (target.closest('dialog')) return true;
  if (target.matches('input, textarea, select'))
    return key !== 'Escape' && key !== 'ArrowDown' && key !== 'Enter';
  if (target.closest('button, a, summary')) return key === 'Enter';
  // A scrolling area keeps the arrows, Home and End for itself.
  return target.closest('[data-scrolls]') !== null && !isCharacter(key) && key !== 'Escape';
}
