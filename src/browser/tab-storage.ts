interface TabStorage {
  keys(): string[];
  get(name: string): string | null;
  set(name: string, value: string): void;
  remove(name: string): void;
}

/** Kept nowhere but in `sessionStorage`: whoever holds it is let in. */
export const PASTED = 'prelim.token';
/** What was being typed when a sign-in ended. */
export const KEPT_WORDS = 'prelim.words';

/** What a page keeps in its tab: `sessionStorage`, or what there is in its place (`ofFrame`). */
export const tabStorage: TabStorage = allowed() ? ofSession() : ofFrame();

/** Even to look at it throws where the browser denies it. */
function allowed(): boolean {
  try {
    return sessionStorage !== null;
  } catch {
    return false;
  }
}

function ofSession(): TabStorage {
  return {
    keys: () => Object.keys(sessionStorage),
    get: (name) => sessionStorage.getItem(name),
    set: (name, value) => sessionStorage.setItem(name, value),
    remove: (name) => sessionStorage.removeItem(name),
  };
}

/**
 * In the frame of an EHR, where the browser denies storage to what is foreign: the name of the frame, which lasts over the way to the sign-in pages and back. Those pages, and only sites that may
 * frame this one, can read and set it; nothing that stands there is worth anything without the cookie of this browser and our own origin. A pasted token is, and what was typed is not for them: both stay in
 * memory.
 */
function ofFrame(): TabStorage {
  const memory = new Map<string, string>();
  const isApart = (name: string) => name === PASTED || name === KEPT_WORDS;
  const read = (): Record<string, string> => {
    try {
      return (JSON.parse(window.name) as { prelim?: Record<string, string> }).prelim ?? {};
    } catch {
      return {};
    }
  };
  const write = (kept: Record<string, string | undefined>) => {
    window.name = JSON.stringify({ prelim: kept });
  };
  return {
    keys: () => Object.keys(read()),
    get: (name) => (isApart(name) ? memory.get(name) : read()[name]) ?? null,
    set: (name, value) => {
      if (isApart(name)) memory.set(name, value);
      else write({ ...read(), [name]: value });
    },
    remove: (name) => {
      if (isApart(name)) memory.delete(name);
      else write({ ...read(), [name]: undefined });
    },
  };
}
