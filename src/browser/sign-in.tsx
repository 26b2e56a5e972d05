import { useEffect, useState } from 'preact/hooks';
import { SignedOut, tryToken } from './ask-server.ts';

export interface SignInWords {
  readonly title: string;
  /** What the page is for, in a sentence. */
  readonly about: string;
  /** Who may see it and with what, for those who may not. */
  readonly needs: string;
  /** What a token must open. */
  readonly opens: string;
}

interface SignInProps {
  readonly words: SignInWords;
  /** Why the reader is here again; null at the first visit. */
  readonly message: string | null;
  readonly signIn: (token: string) => void;
  /** Leaves for the sign-in pages of the server. */
  readonly useAccount: () => void;
}

/** Asks for an account, or for an access token, which is tried before it is kept. */
export function SignIn({ words, message, signIn, useAccount }: SignInProps) {
  const [token, setToken] = useState('');
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = `Sign in · ${words.title}`;
  }, []);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const given = token.trim().replace(/^Bearer\s+/i, '');
    if (given === '') return setFault('Paste an access token first.');
    setBusy(true);
    setFault(null);
    try {
      await tryToken(given, words.opens);
      signIn(given);
    } catch (error) {
      setFault(
        error instanceof SignedOut ? sayRefusal(error, words) : 'The server does not answer. Try again.',
      );
      setBusy(false);
    }
  };

  return (
    <main class="sign-in">
      <form onSubmit={submit}>
        <h1>{words.title}</h1>
        <p>{words.about}</p>
        <button type="button" class="primary" onClick={useAccount} autofocus>
          Use my account
        </button>
        <p class="sign-in-or">or with a token</p>
        <label for="token">Access token</label>
        <input
          id="token"
          name="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          value={token}
          aria-describedby="token-help sign-in-fault"
          aria-invalid={fault !== null}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
        <p id="token-help" class="quiet">
          Your administrator or your EHR gives it. On a local server: <code>npm run -s token</code>. It stays
          in this tab and ends with it.
        </p>
        <button type="submit" disabled={busy}>
          {busy ? 'Signing in' : 'Sign in'}
        </button>
        {/* Last, so that nothing moves when it has words. */}
        <p role="alert" class="fault" id="sign-in-fault">
          {fault ?? message}
        </p>
      </form>
    </main>
  );
}

export function sayRefusal({ status, said }: SignedOut, { needs }: SignInWords): string {
  return status === 403
    ? `${needs}${said === null ? '' : ` The server says: ${said}`}`
    : 'The server did not accept the token, or it has expired. Sign in again.';
}
