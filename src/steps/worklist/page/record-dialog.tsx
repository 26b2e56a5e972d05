import { useEffect, useRef, useState } from 'preact/hooks';
import { askServer, SignedOut, saidBy } from '../../../browser/ask-server.ts';
import type { TabSession } from '../../../browser/tab-session.ts';

interface RecordDialogProps {
  /** `DiagnosticReport/7` */
  readonly reference: string;
  readonly session: TabSession;
  readonly close: () => void;
  readonly onSignedOut: (why: SignedOut) => void;
}

/** One FHIR resource as text. A plain link would open a page without the token and show nothing but a refusal. */
export function RecordDialog({ reference, session, close, onSignedOut }: RecordDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState('Loading');

  useEffect(() => {
    dialog.current?.showModal();
    const end = new AbortController();
    askServer(session, `../fhir/${reference}`, { signal: end.signal })
      .then(async (response) => {
        if (!response.ok)
          throw new Error((await saidBy(response)) ?? `the server answered ${response.status}`);
        setText(JSON.stringify(await response.json(), null, 2));
      })
      .catch((error: unknown) => {
        if (end.signal.aborted) return;
        if (error instanceof SignedOut) onSignedOut(error);
        else
          setText(
            `${reference} could not be read: ${error instanceof Error ? error.message : 'unknown reason'}`,
          );
      });
    return () => end.abort();
  }, [reference]);

  return (
    <dialog ref={dialog} class="record" aria-labelledby="record-name" onClose={close}>
      <h2 id="record-name">{reference}</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <pre tabIndex={0}>{text}</pre>
      <button type="button" onClick={close}>
        Close
      </button>
    </dialog>
  );
}
