import { useEffect, useRef } from 'preact/hooks';

interface HelpDialogProps {
  readonly characterKeys: boolean;
  readonly setCharacterKeys: (on: boolean) => void;
  readonly close: () => void;
}

const KEYS: readonly (readonly [keys: readonly string[], does: string])[] = [
  [['j', '↓'], 'next study'],
  [['k', '↑'], 'previous study'],
  [['Home', 'End'], 'first, last study'],
  [['Enter'], 'open the study'],
  [['Esc'], 'back to the list; clear the filter'],
  [['/'], 'filter the list'],
  [['?'], 'this help'],
];

export function HelpDialog({ characterKeys, setCharacterKeys, close }: HelpDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={close}>
      <h2 id="help-title">Help</h2>
      <dl class="keys">
        {KEYS.map(([keys, does]) => (
          <div key={does}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input
          type="checkbox"
          checked={characterKeys}
          onChange={(event) => setCharacterKeys(event.currentTarget.checked)}
        />
        Letter keys (j, k, /, ?) are on
      </label>
      <h3>Order of the list</h3>
      <p>
        Actionable category 1, STAT orders, category 2, urgent orders, category 3, other abnormal findings,
        indeterminate findings, routine. Among equals the patient who has waited longest comes first. A
        negative AI result never moves a study down.
      </p>
      <button type="button" onClick={close}>
        Close
      </button>
    </dialog>
  );
}
