import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { SignedOut } from '../../../browser/ask-server.ts';

export interface Deed {
  readonly title: string;
  /** What it does and what it does not, for the person who confirms it. */
  readonly explain: string;
  readonly confirm: string;
  /** Does it; gives what to say afterwards. Throws what the server said. */
  readonly act: (reason: string, checked: boolean) => Promise<string>;
  /** Something more that must be said yes to by itself. */
  readonly check?: string;
}

interface ActDialogProps {
  readonly deed: Deed;
  readonly close: () => void;
  readonly done: (words: string) => void;
  readonly onSignedOut: (why: SignedOut) => void;
  readonly children?: ComponentChildren;
}

const REASON_CHARS_MAX = 500;

/** Nothing is done without a confirmation and a reason, which goes to the log. */
export function ActDialog({ deed, close, done, onSignedOut }: ActDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState('');
  const [checked, setChecked] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (reason.trim() === '') return setFault('Say why, without patient data. It is kept in the log.');
    setBusy(true);
    setFault(null);
    try {
      const words = await deed.act(reason.trim(), checked);
      done(words);
    } catch (error) {
      if (error instanceof SignedOut) return onSignedOut(error);
      setFault(
        error instanceof TypeError
          ? 'The server does not answer. Look whether it was done before you try again.'
          : (error as Error).message,
      );
      setBusy(false);
    }
  };

  return (
    <dialog ref={dialog} aria-labelledby="deed-title" onClose={close}>
      <form onSubmit={submit}>
        <h2 id="deed-title">{deed.title}</h2>
        <p>{deed.explain}</p>
        <label for="reason">Reason</label>
        <textarea
          id="reason"
          rows={2}
          maxLength={REASON_CHARS_MAX}
          value={reason}
          aria-invalid={fault !== null}
          aria-describedby="reason-fault"
          onInput={(event) => setReason(event.currentTarget.value)}
        />
        {deed.check && (
          <label class="check">
            <input
              type="checkbox"
              checked={checked}
              onChange={(event) => setChecked(event.currentTarget.checked)}
            />
            {deed.check}
          </label>
        )}
        <p role="alert" id="reason-fault" class="fault">
          {fault}
        </p>
        <div class="buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={busy}>
            {deed.confirm}
          </button>
        </div>
      </form>
    </dialog>
  );
}
