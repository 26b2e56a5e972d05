import { useCallback, useEffect, useState } from 'preact/hooks';
import {
  arrival,
  beginSignIn,
  endSignIn,
  finishSignIn,
  patientInContext,
  refreshSignIn,
} from './account-sign-in.ts';
import { currentToken, keepToken, takeTokenFromAddress } from './session.ts';
import { SignIn, sayRefusal } from './sign-in.tsx';
import { Worklist } from './worklist.tsx';

/** Sign-in or worklist, as the token says. */
export function App() {
  const [arriving, setArriving] = useState(arrival);
  const [token, setToken] = useState(currentToken);
  const [message, setMessage] = useState<string | null>(null);

  const signOut = useCallback((why: string | null) => {
    endSignIn();
    setMessage(why);
    setToken(null);
  }, []);
  // Of an account a token that has run out is followed by the next.
  const onSignedOut = useCallback(
    async (status: number) => {
      if (status === 401 && (await refreshSignIn())) setToken(currentToken());
      else signOut(sayRefusal(status));
    },
    [signOut],
  );
  const useAccount = useCallback(() => beginSignIn().catch(({ message }: Error) => setMessage(message)), []);

  useEffect(() => {
    if (arriving === null) return;
    // A launch is for whoever is signed in at the EHR, and for the patient that is open there: what was here before ends.
    const arrive = arriving === 'answer' ? finishSignIn() : beginSignIn();
    arrive
      .then(() => {
        if (arriving === 'answer') setToken(currentToken());
      })
      .catch(({ message }: Error) => {
        history.replaceState(null, '', location.pathname);
        signOut(message);
      })
      .finally(() => {
        if (arriving === 'answer' || arrival() === null) setArriving(null);
      });
  }, []);

  useEffect(() => {
    const onHash = () => {
      if (takeTokenFromAddress()) setToken(currentToken());
    };
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);

  if (arriving !== null) return <p class="nothing">Signing in</p>;
  if (token === null) {
    const signIn = (given: string) => {
      keepToken(given);
      setMessage(null);
      setToken(given);
    };
    return <SignIn key={message} message={message} signIn={signIn} useAccount={useAccount} />;
  }
  return (
    <Worklist
      key={token}
      token={token}
      patient={patientInContext()}
      onSignedOut={onSignedOut}
      signOut={() => signOut(null)}
    />
  );
}
