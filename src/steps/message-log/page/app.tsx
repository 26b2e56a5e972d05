import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import { Api } from './api.ts';
import { Operator } from './operator.tsx';
import { currentToken, forgetToken, keepToken, takeTokenFromAddress } from './session.ts';
import { SignIn, sayRefusal } from './sign-in.tsx';

/** Sign-in or page, as the token says. */
export function App() {
  const [token, setToken] = useState(currentToken);
  const [message, setMessage] = useState<string | null>(null);
  const api = useMemo(() => (token === null ? null : new Api(token)), [token]);
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

  if (api === null) {
    const signIn = (given: string) => {
      keepToken(given);
      setMessage(null);
      setToken(given);
    };
    return <SignIn message={message} signIn={signIn} />;
  }
  return <Operator key={token} api={api} onSignedOut={onSignedOut} signOut={() => signOut(null)} />;
}
