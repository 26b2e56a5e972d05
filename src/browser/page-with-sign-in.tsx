import { type ComponentChildren, Fragment } from 'preact';
import { useCallback, useEffect, useState } from 'preact/hooks';
import { arrival, beginSignIn, endSignIn, finishSignIn } from './account-sign-in.ts';
import type { SignedOut } from './ask-server.ts';
import { forgetWords } from './kept-words.ts';
import { SignIn, type SignInWords, sayRefusal } from './sign-in.tsx';
import type { TabSession } from './tab-session.ts';

/** What the page behind the sign-in is given. */
export interface SignedIn {
  readonly session: TabSession;
  readonly onSignedOut: (why: SignedOut) => void;
  readonly signOut: () => void;
}

interface PageWithSignInProps {
  readonly session: TabSession;
  readonly words: SignInWords;
  readonly children: (signedIn: SignedIn) => ComponentChildren;
}

/** Sign-in or the page, as the session of the tab says. */
export function PageWithSignIn({ session, words, children }: PageWithSignInProps) {
  const [arriving, setArriving] = useState(arrival);
  /** Which sign-in it is: another one begins with a page that has nothing of the one before. */
  const [entry, setEntry] = useState(0);
  const [message, setMessage] = useState<string | null>(null);
  const enter = useCallback((why: string | null = null) => {
    setMessage(why);
    setEntry((n) => n + 1);
  }, []);
  const leave = useCallback((why: string | null) => {
    endSignIn(session);
    enter(why);
  }, []);
  const signOut = useCallback(() => {
    forgetWords();
    leave(null);
  }, []);
  const onSignedOut = useCallback((why: SignedOut) => leave(sayRefusal(why, words)), []);
  const useAccount = useCallback(
    () => beginSignIn(session).catch(({ message }: Error) => setMessage(message)),
    [],
  );
  useArrival(session, arriving, setArriving, enter, leave);
  useEffect(() => {
    const onHash = () => {
      if (session.takeTokenFromAddress()) enter();
    };
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);

  if (arriving !== null)
    return (
      <main class="sign-in">
        <p role="status">Signing in</p>
      </main>
    );
  if (!session.isSignedIn()) {
    const signIn = (given: string) => {
      session.keepToken(given);
      enter();
    };
    return <SignIn key={entry} {...{ words, message, signIn, useAccount }} />;
  }
  return <Fragment key={entry}>{children({ session, onSignedOut, signOut })}</Fragment>;
}

/** Goes on with what opened the page: a launch, or the answer of the sign-in pages. */
function useArrival(
  session: TabSession,
  arriving: ReturnType<typeof arrival>,
  setArriving: (next: null) => void,
  enter: () => void,
  leave: (why: string) => void,
): void {
  useEffect(() => {
    if (arriving === null) return;
    // A launch is for whoever is signed in at the EHR, and for the patient that is open there: what was here before ends.
    if (arriving === 'launch') forgetWords();
    const arrive = arriving === 'answer' ? finishSignIn(session) : beginSignIn(session);
    arrive
      .then(() => {
        if (arriving === 'answer') enter();
      })
      .catch(({ message }: Error) => {
        history.replaceState(null, '', location.pathname + location.hash);
        leave(message);
      })
      .finally(() => {
        if (arriving === 'answer' || arrival() === null) setArriving(null);
      });
  }, []);
}
