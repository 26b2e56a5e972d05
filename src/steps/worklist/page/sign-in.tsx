import { useState } from 'preact/hooks';
import { askRows, SignedOut } from './api.ts';

interface SignInProps {
  /** Why the reader is here again; null at the first visit. */
  readonly message: string | null;
  readonly signIn: (token: string) => void;
  /** Leaves for the sign-in pages of the server. */
  readonly useAccount: () => void;
}

/** Asks for an access token and tries it before it is kept. */
export function SignIn({ message, signIn, useAccount }: SignInProps) {
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
      await askRows(given);
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
        <h1>Prelim worklist</h1>
        <p>Preliminary AI results for radiologists, most urgent first.</p>
        <button type="button" onClick={useAccount}>
          Use my account
        </button>
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
        <p id="token-help" class="sign-in-help">
          Your administrator or your EHR gives it. On a local server: <code>npm run -s token</code>. It stays
          in this tab and ends with it.
        </p>
        <p role="alert" class="sign-in-fault">
          {fault}
        </p>
        <button type="submit" disabled={busy}>
          {busy ? 'Signing in' : 'Sign in'}
        </button>
      </form>
    </main>
  );
}

export function sayRefusal(status: number): string {
  return status === 403
    ? 'The token is valid, but it may not see the worklist. Ask for one with the right to read Task.'
    : 'The server did not accept the token. It may have expired: ask for a new one.';
}
