import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { SignedOut } from '../../../browser/ask-server.ts';
import { Refused } from './api.ts';
import { useReason } from './use-reason.ts';

export interface Deed {
  /** Names it, without anything of a person or a lane: a reason that was being typed when the sign-in ended is offered for the same again. */
  readonly about: string;
  readonly title: string;
  /** What it does and what it does not, for the person who confirms it. */
  readonly explain: string;
  readonly confirm: string;
  /** Does it; gives what to say afterwards. Throws what the server said. */
  readonly act: (reason: string, checked: boolean) => Promise<string>;
  /** Something more that must be said yes to by itself. */
  readonly check?: string;
  /** The same, for what only the server knows: by the code with which it refuses. */
  readonly checkAfter?: Readonly<Record<string, string>>;
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
  const { reason, type, isKept, drop } = useReason(deed.about);
  const [checked, setChecked] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [check, setCheck] = useState(deed.check ?? null);
  useEffect(() => dialog.current?.showModal(), []);
  // What was asked for is done however this is left: it stays until the server has said what became of it.
  const onCancel = (event: Event) => busy && event.preventDefault();
  const onClose = () => {
    if (busy) return dialog.current?.showModal();
    drop();
    close();
  };

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (reason.trim() === '') return setFault('Say why, without patient data. It is kept in the log.');
    setBusy(true);
    setFault(null);
    try {
      const words = await deed.act(reason.trim(), checked);
      drop();
      done(words);
    } catch (error) {
      if (error instanceof SignedOut) return onSignedOut(error);
      const next = deed.checkAfter?.[(error instanceof Refused && error.code) || ''];
      if (next !== undefined && next !== check) {
        setCheck(next);
        setChecked(false);
      }
      setFault(sayActFault(error));
      setBusy(false);
    }
  };

  return (
    <dialog ref={dialog} aria-labelledby="deed-title" onCancel={onCancel} onClose={onClose}>
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
          onInput={(event) => type(event.currentTarget.value)}
        />
        {isKept && <p class="quiet">Typed before the sign-in ended. Read it again.</p>}
        {check !== null && <Check {...{ check, checked, setChecked }} />}
        <p role="alert" id="reason-fault" class="fault">
          {fault}
        </p>
        <div class="buttons">
          <button type="button" disabled={busy} onClick={() => dialog.current?.close()}>
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

const sayActFault = (error: unknown): string =>
  error instanceof TypeError
    ? 'The server does not answer. Look whether it was done before you try again.'
    : (error as Error).message;

interface CheckProps {
  readonly check: string;
  readonly checked: boolean;
  readonly setChecked: (checked: boolean) => void;
}

function Check({ check, checked, setChecked }: CheckProps) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={checked}
        onChange={(event) => setChecked(event.currentTarget.checked)}
      />
      {check}
    </label>
  );
}
