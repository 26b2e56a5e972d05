import { useState } from 'preact/hooks';
import { SignedOut, tryToken } from './api.ts';

interface SignInProps {
  /** Why the operator is here again; null at the first visit. */
  readonly message: string | null;
  readonly signIn: (token: string) => void;
}

/** Asks for an access token and tries it before it is kept. */
export function SignIn({ message, signIn }: SignInProps) {
  const [token, setToken] = useState('');
  const [fault, setFault] = useState(message);
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const given = token.trim().replace(/^Bearer\s+/i, '');
    if (given === '') return setFault('Paste an access token first.');
    setBusy(true);
    setFault(null);
    try {
      await tryToken(given);
      signIn(given);
    } catch (error) {
      setFault(
        error instanceof SignedOut ? sayRefusal(error.status) : 'The server does not answer. Try again.',
      );
      setBusy(false);
    }
  };
  return (
    <main class="sign-in">
      <form onSubmit={submit}>
        <h1>Prelim HL7 operator</h1>
        <p>Messages in and out, what blocks them, and what to do about it.</p>
        <label for="token">Access token</label>
        <input
          id="token"
          name="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          value={token}
          aria-describedby="token-help"
          aria-invalid={fault !== null}
          onInput={(event) => setToken(event.currentTarget.value)}
          autofocus
        />
        <p id="token-help" class="quiet">
          The sign-in of the worklist serves here too. On a local server: <code>npm run -s token</code>. It
          stays in this tab and ends with it.
        </p>
        <p role="alert" class="fault">
          {fault}
        </p>
        <button type="submit" class="primary" disabled={busy}>
          {busy ? 'Signing in' : 'Sign in'}
        </button>
      </form>
    </main>
  );
}

export function sayRefusal(status: number): string {
  return status === 403
    ? 'The token is valid, but it may not see the message log. Ask for one with the right to read Task.'
    : 'The server did not accept the token. It may have expired: ask for a new one.';
}
