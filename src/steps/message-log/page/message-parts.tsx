import { useRef, useState } from 'preact/hooks';
import type { MessageTree, ShownWhole } from './api.ts';
import type { ViewProps } from './operator.tsx';
import { TreeView } from './tree-view.tsx';
import { usePolled } from './use-polled.ts';

interface MessagePartsProps extends Pick<ViewProps, 'api' | 'onSignedOut'> {
  readonly message: ShownWhole;
}

/** What a message says, as fields and as lines; a long one a part at a time. Beside it the acknowledgement. */
export function MessageParts({ api, onSignedOut, message }: MessagePartsProps) {
  /** The `next` of each part before the one that is shown. */
  const [before, setBefore] = useState<readonly string[]>([]);
  const from = before.at(-1) ?? null;
  // A part is asked for once: what a message says does not change.
  const look = async (signal: AbortSignal) => (from === null ? null : api.part(message, from, signal));
  const { data, fault, refresh } = usePolled(String(from), look, onSignedOut, 0);
  const place = useRef<HTMLElement>(null);
  if (message.tree === null) return null;
  const tree = from === null ? message.tree : data;
  const turn = (to: readonly string[]) => {
    setBefore(to);
    place.current?.scrollIntoView();
  };
  return (
    <section aria-label="The message" ref={place}>
      {message.tree.next !== null && <Turn {...{ tree, before, turn }} />}
      {tree === null ? (
        <p class="nothing">
          {fault ?? 'Reading the message'}{' '}
          {fault && (
            <button type="button" onClick={refresh}>
              Try again
            </button>
          )}
        </p>
      ) : (
        <Part tree={tree} ack={message.ack} isIn={message.direction === 'in'} />
      )}
    </section>
  );
}

interface TurnProps {
  /** The part that is shown; null while it is on its way. */
  readonly tree: MessageTree | null;
  readonly before: readonly string[];
  readonly turn: (before: readonly string[]) => void;
}

/** To the parts before and after. The buttons stay where they are, and keep the focus. */
function Turn({ tree, before, turn }: TurnProps) {
  const next = tree?.next ?? null;
  return (
    <div class="buttons turn">
      <button type="button" aria-disabled={before.length === 0} onClick={() => turn(before.slice(0, -1))}>
        Part before
      </button>
      <button
        type="button"
        aria-disabled={next === null}
        onClick={() => next !== null && turn([...before, next])}
      >
        Next part
      </button>
      <p role="status">{tree === null ? '' : sayPart(tree)}</p>
    </div>
  );
}

function sayPart({ first, segments, next }: MessageTree): string {
  if (segments.length === 0) return 'No more segments could be read';
  return `Segments ${first} to ${first + segments.length - 1}${next === null ? ', the last ones' : ''}`;
}

interface PartProps {
  readonly tree: MessageTree;
  readonly ack: MessageTree | null;
  readonly isIn: boolean;
}

function Part({ tree, ack, isIn }: PartProps) {
  return (
    <div class="columns">
      <div>
        <h3>Fields</h3>
        <TreeView tree={tree} label="Fields of the message" />
      </div>
      <div>
        <h3>Message</h3>
        <Raw lines={tree.raw} label="Message" />
        {ack && (
          <>
            <h3>{isIn ? 'Acknowledgement sent' : 'Last acknowledgement'}</h3>
            <Raw lines={ack.raw} label="Acknowledgement" />
          </>
        )}
      </div>
    </div>
  );
}

function Raw({ lines, label }: { lines: readonly string[]; label: string }) {
  return (
    <section aria-label={label}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <pre tabIndex={0}>{lines.join('\n')}</pre>
    </section>
  );
}
