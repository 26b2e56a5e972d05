import type { LanesView as Lanes } from './api.ts';
import type { ViewProps } from './operator.tsx';
import { plural, sayAge, sayTime } from './say.ts';
import { sayReason } from './say-reason.ts';
import { Stale } from './stale.tsx';
import { usePolled } from './use-polled.ts';
import { messageLink } from './use-route.ts';
import { WideTable } from './wide-table.tsx';

type Hold = { readonly at: string; readonly by: string; readonly reason: string };
type Held = Hold | null;

const sayWhose = ({ at, by, reason }: Hold): string =>
  `by ${by} since ${sayTime(at)}: ${reason}${/[.!?]$/.test(reason) ? '' : '.'}`;

/** Where messages wait: destinations, the lanes within them with the head that blocks, and what came in and is not filed yet. */
export function LanesView({ api, onSignedOut, ask }: ViewProps) {
  const { data, fault, refresh } = usePolled('lanes', (signal) => api.lanes(signal), onSignedOut);
  if (data === null) return <p class="nothing">{fault ?? 'Reading the lanes'}</p>;

  const hold = (destination: string, lane: string | null, held: Held) => {
    const what = lane === null ? `destination ${destination}` : `one lane of ${destination}`;
    const target = { destination, ...(lane === null ? {} : { lane }) };
    const deed =
      held === null
        ? {
            about: `hold ${what}`,
            title: `Hold ${what}?`,
            explain:
              'Nothing more is sent there until it is released. What comes waits in order; nothing is lost and no tries are used up.',
            confirm: 'Hold',
            act: async (reason: string) => {
              const { held: stands } = await api.act<{ held: Hold & { already: boolean } }>('holds', {
                ...target,
                reason,
              });
              return stands.already ? `Held already, ${sayWhose(stands)}` : `Held: ${what}.`;
            },
          }
        : {
            about: `release ${what}`,
            title: `Release ${what}?`,
            explain: `It was held ${sayWhose(held)} What waits is sent now, in its order.`,
            confirm: 'Release',
            act: async (reason: string) => {
              const { released } = await api.act<{ released: Hold }>('holds/release', { ...target, reason });
              return `Released: ${what}. It was held ${sayWhose(released)}`;
            },
          };
    ask(deed, refresh);
  };
  const button = (destination: string, lane: string | null, held: Held) => (
    <button type="button" onClick={() => hold(destination, lane, held)}>
      {held === null ? 'Hold' : 'Release'}
      <span class="aside"> {lane === null ? destination : `lane ${lane}`}</span>
    </button>
  );

  return (
    <>
      <Stale fault={fault} />
      <Destinations data={data} button={button} />
      <Heads data={data} button={button} />
      <h3>In</h3>
      <p>
        {data.filing.waiting === 0
          ? 'Nothing waits to be filed.'
          : `${plural(data.filing.waiting, 'message')} to be filed, the oldest since ${sayAge(data.filing.oldestSeconds)}.`}{' '}
        {data.filing.held > 0 && (
          <a href="#/dead">{plural(data.filing.held, 'message')} could not be filed</a>
        )}
      </p>
    </>
  );
}

interface PartProps {
  readonly data: Lanes;
  readonly button: (destination: string, lane: string | null, held: Held) => preact.JSX.Element;
}

function Destinations({ data, button }: PartProps) {
  if (data.destinations.length === 0) return <p class="nothing">No destination is configured.</p>;
  return (
    <WideTable name="Destinations" cards>
      <thead>
        <tr>
          <th scope="col">Destination</th>
          <th scope="col">State</th>
          <th scope="col" class="number">
            Waiting
          </th>
          <th scope="col" class="number">
            Lanes
          </th>
          <th scope="col" class="number">
            Oldest
          </th>
          <th scope="col">Last acknowledged</th>
          <th scope="col" class="do">
            <span class="aside">Do</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {data.destinations.map((one) => (
          <tr key={one.destination}>
            <th scope="row">
              {one.destination}
              {one.profile && <span class="quiet"> profile {one.profile}</span>}
              {one.address && !one.address.endsWith(one.destination) && (
                <span class="quiet words">{one.address}</span>
              )}
            </th>
            <td data-name="State">
              <DestinationState one={one} lanes={data.lanes} />
            </td>
            <td class="number" data-name="Waiting">
              {one.waiting}
            </td>
            <td class="number" data-name="Lanes">
              {one.lanes}
            </td>
            <td class="number" data-name="Oldest">
              {one.waiting === 0 ? '' : sayAge(one.oldestUnsentSeconds)}
            </td>
            <td data-name="Last acknowledged">
              {one.lastAckAt === null ? 'not within a day' : sayTime(one.lastAckAt)}
            </td>
            <td class="do">{button(one.destination, null, one.held)}</td>
          </tr>
        ))}
      </tbody>
    </WideTable>
  );
}

function Heads({ data, button }: PartProps) {
  const held = data.heldEmpty.map((one) => ({ ...one, waiting: 0, oldestUnsentSeconds: 0, head: null }));
  const lanes = [...data.lanes, ...held];
  if (lanes.length === 0) return null;
  const isCut = data.destinations.reduce((sum, one) => sum + one.lanes, 0) > data.lanes.length;
  return (
    <WideTable
      name={`Lanes that wait, oldest first${isCut ? '; the others of their destination are not shown' : ''}. The head is sent before all that follows it.`}
      cards
    >
      <thead>
        <tr>
          <th scope="col">Lane</th>
          <th scope="col">State</th>
          <th scope="col" class="number">
            Waiting
          </th>
          <th scope="col" class="number">
            Head since
          </th>
          <th scope="col">Head</th>
          <th scope="col" class="number">
            Tries
          </th>
          <th scope="col">Last error of the head</th>
          <th scope="col" class="do">
            <span class="aside">Do</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {lanes.map((one) => (
          <tr key={one.lane}>
            <th scope="row" class="lane">
              {one.lane}
            </th>
            <td data-name="State">
              <LaneState held={one.held} error={one.head?.lastError ?? null} />
            </td>
            <td class="number" data-name="Waiting">
              {one.waiting}
            </td>
            <td class="number" data-name="Head since">
              {one.head ? sayAge(one.oldestUnsentSeconds) : ''}
            </td>
            <td data-name="Head">
              {one.head && <a href={messageLink('out', one.head.id)}>{one.head.controlId}</a>}
            </td>
            <td class="number" data-name="Tries">
              {one.head?.attempts ?? ''}
            </td>
            <td data-name="Last error of the head">
              {one.head?.lastError && (
                <span>
                  {one.head.lastError} <span class="quiet words">{sayReason(one.head.lastError)}</span>
                </span>
              )}
            </td>
            <td class="do">{button(one.destination, one.lane, one.held)}</td>
          </tr>
        ))}
      </tbody>
    </WideTable>
  );
}

function LaneState({ held, error }: { held: Held; error: string | null }) {
  if (held) return <HeldSign held={held} />;
  return error === null ? <>waits</> : <span class="badge bad">blocked</span>;
}

interface DestinationStateProps {
  readonly one: Lanes['destinations'][number];
  readonly lanes: Lanes['lanes'];
}

/** A queue that stands must not look like one that moves: it is sending only where no head has failed. */
function DestinationState({ one, lanes }: DestinationStateProps) {
  if (one.held) return <HeldSign held={one.held} />;
  if (one.address === null)
    return (
      <>
        <span class="badge bad">not configured</span> <span class="quiet">nobody sends this</span>
      </>
    );
  if (one.waiting === 0) return <>nothing waits</>;
  const own = lanes.filter(({ destination }) => destination === one.destination);
  const blocked = own.filter(({ head, held }) => !held && head.lastError !== null).length;
  if (blocked === 0) return <>sending</>;
  return (
    <>
      <span class="badge bad">blocked</span>{' '}
      <span class="quiet">
        {plural(blocked, 'lane')}
        {own.length < one.lanes && ' or more'}
      </span>
    </>
  );
}

function HeldSign({ held }: { held: NonNullable<Held> }) {
  return (
    <>
      <span class="badge bad">held</span>{' '}
      <span class="quiet">
        {sayTime(held.at)} by {held.by}: {held.reason}
      </span>
    </>
  );
}
