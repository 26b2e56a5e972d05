import { useCallback, useEffect, useState } from 'preact/hooks';
import { currentToken, forgetToken, keepToken, takeTokenFromAddress } from './session.ts';
import { SignIn, sayRefusal } from './sign-in.tsx';
import { Worklist } from './worklist.tsx';

/** Sign-in or worklist, as the token says. */
export function App() {
  const [token, setToken] = useState(currentToken);
  const [message, setMessage] = useState<string | null>(null);

  const signOut = useCallback((why: string | null) => {
    forgetToken();
    setMessage(why);
    setToken(null);
  }, []);
  const onSignedOut = useCallback((status: number) => signOut(sayRefusal(status)), [signOut]);

  useEffect(() => {
    const onHash = () => {
      if (takeTokenFromAddress()) setToken(currentToken());
    };
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);

  if (token === null) {
    const signIn = (given: string) => {
      keepToken(given);
      setMessage(null);
      setToken(given);
    };
    return <SignIn message={message} signIn={signIn} />;
  }
  return <Worklist key={token} token={token} onSignedOut={onSignedOut} signOut={() => signOut(null)} />;
}
