import { useState } from 'preact/hooks';
import { SignedOut } from '../../../browser/ask-server.ts';
import type { BulkDone, Counted } from './api.ts';
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
  const { data } = usePolled('destinations', (signal) => api.lanes(signal), onSignedOut, 0);
  const [chosen, setChosen] = useState('');
  const [refused, setRefused] = useState<string | null>(null);
  const others = (data?.destinations ?? []).filter(
    ({ destination, address }) => address !== null && destination !== filter['destination'],
  );
  if (others.length === 0) return null;
  const begin = async (event: SubmitEvent) => {
    event.preventDefault();
    setRefused(null);
    if (chosen === '') return setRefused('Choose where to send them.');
    const { direction, ...rest } = filter;
    const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== ''));
    try {
      const asked = { direction, action: 'send-to', destination: chosen, filter: given };
      const counted = await api.act<Counted>('bulk/count', asked);
      const from = counted.goOnFrom;
      ask(
        {
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
      else setRefused((error as Error).message);
    }
  };
  return (
    <form class="send-to" onSubmit={begin} aria-label="Send these to another destination">
      <label>
        Send these to{' '}
        <select value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
          <option value="">choose</option>
          {others.map(({ destination }) => (
            <option key={destination} value={destination}>
              {destination}
            </option>
          ))}
        </select>
      </label>
      <button type="submit">Count</button>
      <p role="alert" class="fault">
        {refused}
      </p>
    </form>
  );
}
