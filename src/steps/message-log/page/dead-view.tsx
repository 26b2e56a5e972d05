import { useState } from 'preact/hooks';
import { SignedOut } from '../../../browser/ask-server.ts';
import { type BulkDone, type Counted, type DeadGroups, sayFault } from './api.ts';
import type { ViewProps } from './operator.tsx';
import { plural, sayTime } from './say.ts';
import { sayReason } from './say-reason.ts';
import { Stale } from './stale.tsx';
import { usePolled } from './use-polled.ts';
import { WideTable } from './wide-table.tsx';

type Group = DeadGroups['groups'][number];

const ACTIONS: Readonly<
  Record<'in' | 'out', readonly (readonly [action: string, label: string, explain: string])[]>
> = {
  in: [
    ['replay', 'File again', 'Each of them is filed anew, in the order in which they came.'],
    ['discard', 'Discard', 'Each of them is marked as dealt with. They stay in the log.'],
  ],
  out: [
    [
      'resend',
      'Resend same bytes',
      'Each of them goes out again with the same control ID, oldest first. One that a newer version has followed is passed over.',
    ],
    ['rebuild', 'Rebuild new version', 'For each of them a new message is made of what the record says now.'],
    ['discard', 'Discard', 'Each of them is marked as dealt with. They stay in the log.'],
  ],
};

/** What nobody has dealt with yet, by reason. A bulk action first counts, then acts on exactly what was counted. */
export function DeadView({ api, onSignedOut, ask }: ViewProps) {
  const { data, fault, refresh } = usePolled('dead', (signal) => api.dead(signal), onSignedOut);
  const [refused, setRefused] = useState<string | null>(null);
  if (data === null) return <p class="nothing">{fault ?? 'Reading'}</p>;
  if (data.groups.length === 0)
    return (
      <>
        <Stale fault={fault} />
        <p class="nothing">Nothing waits for a person.</p>
      </>
    );

  const begin = async (group: Group, action: string, label: string, explain: string) => {
    setRefused(null);
    try {
      const { direction, ...filter } = filterOf(group);
      const counted = await api.act<Counted>('bulk/count', { direction, action, filter });
      if (counted.count === 0) {
        setRefused('Nothing of this is left: somebody has dealt with it.');
        return refresh();
      }
      const deed = {
        about: `bulk ${action} ${Object.values(filterOf(group)).join(' ')}`,
        title: `${label}: ${plural(counted.count, 'message')}?`,
        explain: `${whatOf(group)} ${explain} It is done to exactly the ${counted.count} counted now.${counted.more ? ' There are more; repeat it afterwards.' : ''}`,
        confirm: `${label} (${counted.count})`,
        act: async (reason: string) =>
          sayBulkEnd(await api.act<BulkDone>('bulk', { token: counted.token, reason })),
      };
      ask(deed, refresh);
    } catch (error) {
      if (error instanceof SignedOut) onSignedOut(error);
      else setRefused(sayFault(error));
    }
  };

  return (
    <>
      <Stale fault={fault} />
      <p role="alert" class="fault">
        {refused}
      </p>
      <WideTable name="By reason, most first" cards>
        <thead>
          <tr>
            <th scope="col">Reason</th>
            <th scope="col">Status</th>
            <th scope="col">From or to</th>
            <th scope="col" class="number">
              Messages
            </th>
            <th scope="col">Oldest</th>
            <th scope="col">Newest</th>
            <th scope="col">For all of them</th>
          </tr>
        </thead>
        <tbody>
          {data.groups.map((group) => (
            <GroupRow
              key={`${group.direction} ${group.partner} ${group.status} ${group.reason}`}
              group={group}
              begin={begin}
            />
          ))}
        </tbody>
      </WideTable>
    </>
  );
}

interface GroupRowProps {
  readonly group: Group;
  readonly begin: (group: Group, action: string, label: string, explain: string) => Promise<void>;
}

function GroupRow({ group, begin }: GroupRowProps) {
  return (
    <tr>
      <th scope="row">
        {group.reason}
        <span class="quiet words">{sayReason(group.reason)}</span>
      </th>
      <td data-name="Status">
        <span class="badge bad">{group.status}</span>
      </td>
      <td data-name="From or to">
        {group.direction} {group.partner}
      </td>
      <td class="number" data-name="Messages">
        <a href={`#/messages?${new URLSearchParams(filterOf(group))}`}>{group.messages}</a>
      </td>
      <td class="time" data-name="Oldest">
        {sayTime(group.oldest)}
      </td>
      <td class="time" data-name="Newest">
        {sayTime(group.newest)}
      </td>
      <td class="buttons">
        {ACTIONS[group.direction].map(([action, label, explain]) => (
          <button key={action} type="button" onClick={() => void begin(group, action, label, explain)}>
            {label}
            <span class="aside">
              {' '}
              {group.reason}, {group.direction} {group.partner}
            </span>
          </button>
        ))}
      </td>
    </tr>
  );
}

/** Who is asked has pressed one button of many that look alike. */
const whatOf = ({ status, reason, direction, partner }: Group): string =>
  `They are ${status} with ${reason}, ${direction === 'out' ? 'to' : 'from'} ${partner}.`;

/** Finds the messages of a group, and no others. */
function filterOf({ direction, status, reason, partner }: Group) {
  return { direction, status, reason, [direction === 'out' ? 'destination' : 'sender']: partner };
}

export function sayBulkEnd({ done, skipped }: BulkDone): string {
  const left = Object.entries(skipped).map(([code, n]) => `${n} passed over (${code})`);
  return [`Done: ${plural(done, 'message')}`, ...left].join('; ');
}
