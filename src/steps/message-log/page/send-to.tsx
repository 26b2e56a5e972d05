import { useState } from 'preact/hooks';
import { SignedOut } from '../../../browser/ask-server.ts';
import { type Api, type BulkDone, type Counted, type ShownWhole, sayFault } from './api.ts';
import { sayBulkEnd } from './dead-view.tsx';
import type { ViewProps } from './operator.tsx';
import { plural, sayTime } from './say.ts';
import { usePolled } from './use-polled.ts';

interface SendToProps extends ViewProps {
  /** What was searched for, with times as the server wants them. */
  readonly filter: Readonly<Record<string, string>>;
  /** Looks for what comes after this time: more than one action takes were found. */
  readonly goOn: (from: string) => void;
}

const EXPLAIN =
  'Each report is told to that destination as the record says it now, in its own layout and in order per patient. What it has already, what was deleted and what its filter leaves out makes no message.';

/** What was found, to another destination: first the count, then exactly those. Shows nothing where there is no other destination. */
export function SendTo({ api, onSignedOut, ask, filter, goOn }: SendToProps) {
  const others = useOthers(api, onSignedOut, filter['destination']);
  const [refused, setRefused] = useState<string | null>(null);
  const begin = async (chosen: string) => {
    setRefused(null);
    if (chosen === '') return setRefused('Choose where to send them.');
    const { direction, ...rest } = filter;
    const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== ''));
    try {
      const asked = { direction, action: 'send-to', destination: chosen, filter: given };
      const counted = await api.act<Counted>('bulk/count', asked);
      const from = counted.goOnFrom;
      if (counted.count === 0) return setRefused('Nothing is found any more: search again.');
      ask(
        {
          about: `bulk send-to ${chosen}`,
          title: `Send ${plural(counted.count, 'message')} to ${chosen}?`,
          explain: `${EXPLAIN} It is done to exactly the ${counted.count} counted now.${from ? ` There are more: afterwards the search goes on from ${sayTime(from)}.` : ''}`,
          confirm: `Send to ${chosen} (${counted.count})`,
          act: async (reason) =>
            sayBulkEnd(await api.act<BulkDone>('bulk', { token: counted.token, reason })),
        },
        () => from && goOn(from),
      );
    } catch (error) {
      if (error instanceof SignedOut) onSignedOut(error);
      else setRefused(sayFault(error));
    }
  };
  return (
    <Choose
      name="Send these to another destination"
      what="Send these to"
      button="Count"
      {...{ others, begin, refused }}
      clear={() => setRefused(null)}
    />
  );
}

interface SendOneToProps extends ViewProps {
  readonly message: ShownWhole;
  /** Looks at the message anew: the log of what was done to it has a line more. */
  readonly done: () => void;
}

/** One message, to another destination. Shows nothing for one that came in, and where there is no other destination. */
export function SendOneTo({ api, onSignedOut, ask, message, done }: SendOneToProps) {
  const others = useOthers(api, onSignedOut, message.partner);
  const [refused, setRefused] = useState<string | null>(null);
  if (message.direction !== 'out') return null;
  const begin = (chosen: string) => {
    setRefused(null);
    if (chosen === '') return setRefused('Choose where to send it.');
    ask(
      {
        about: `send-to ${chosen} ${message.id}`,
        title: `Send this result to ${chosen}?`,
        explain: EXPLAIN_ONE,
        confirm: `Send to ${chosen}`,
        act: async (reason) => {
          await api.act(`messages/out/${message.id}/send-to`, { destination: chosen, reason });
          return `${chosen} is told of this report, if it has it not already.`;
        },
      },
      done,
    );
  };
  return (
    <Choose
      name="Send this result to another destination"
      what="Send this result to"
      button="Send to …"
      {...{ others, begin, refused }}
      clear={() => setRefused(null)}
    />
  );
}

const EXPLAIN_ONE =
  'The report is told to that destination as the record says it now, in its own layout. If it has this version already, if the report was deleted or if its filter leaves it out, no message is made.';

/** Names of destinations that are configured, without the one it is about. */
function useOthers(
  api: Api,
  onSignedOut: ViewProps['onSignedOut'],
  without: string | undefined,
): readonly string[] {
  const { data } = usePolled('destinations', (signal) => api.lanes(signal), onSignedOut, 0);
  return (data?.destinations ?? [])
    .filter(({ destination, address }) => address !== null && destination !== without)
    .map(({ destination }) => destination);
}

interface ChooseProps {
  readonly name: string;
  readonly what: string;
  readonly button: string;
  readonly others: readonly string[];
  readonly begin: (chosen: string) => unknown;
  readonly refused: string | null;
  readonly clear: () => void;
}

function Choose({ name, what, button, others, begin, refused, clear }: ChooseProps) {
  const [chosen, setChosen] = useState('');
  if (others.length === 0) return null;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    begin(chosen);
  };
  return (
    <form class="send-to" onSubmit={submit} aria-label={name}>
      <label>
        {what}{' '}
        <select
          value={chosen}
          onChange={(event) => {
            setChosen(event.currentTarget.value);
            clear();
          }}
        >
          <option value="">choose</option>
          {others.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
      </label>
      <button type="submit">{button}</button>
      <p role="alert" class="fault">
        {refused}
      </p>
    </form>
  );
}
