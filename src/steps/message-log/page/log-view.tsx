import { useState } from 'preact/hooks';
import type { ViewProps } from './operator.tsx';
import { sayHold, sayTime, sayZone } from './say.ts';
import { Stale } from './stale.tsx';
import { POLL_MS, usePolled } from './use-polled.ts';
import { messageLink } from './use-route.ts';
import { WideTable } from './wide-table.tsx';

/** So many the server gives at a time (`ACTIONS_SHOWN_MAX`). */
const PAGE_ACTIONS = 200;

/** Who did what, when and why. Nobody can change it. */
export function LogView({ api, onSignedOut }: ViewProps) {
  const [pages, setPages] = useState<readonly string[]>([]);
  const before = pages.at(-1) ?? '';
  // As with messages: only the newest page changes by itself.
  const { data, fault } = usePolled(
    `log ${before}`,
    (signal) => api.actions(before, signal),
    onSignedOut,
    before === '' ? POLL_MS : 0,
  );
  if (data === null) return <p class="nothing">{fault ?? 'Reading'}</p>;
  if (data.length === 0 && before === '') return <p class="nothing">Nobody has done anything yet.</p>;
  return (
    <>
      <Stale fault={fault} />
      <WideTable name={`Newest first. Times: ${sayZone()}`}>
        <thead>
          <tr>
            {['Time', 'Who', 'What', 'About', 'Reason'].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {data.map((one) => (
            <tr key={one.id}>
              <td class="time">{sayTime(one.at)}</td>
              <td>{one.actor}</td>
              <td>
                {one.action}
                {typeof one.detail['to'] === 'string' && ` ${one.detail['to']}`}
              </td>
              <td>
                {one.messageId && one.direction ? (
                  <a href={messageLink(one.direction, one.messageId)}>
                    {one.direction} {one.messageId.slice(0, 13)}
                  </a>
                ) : (
                  (one.lane ?? one.destination ?? '')
                )}
              </td>
              <td>
                {one.reason}
                {sayHold(one) && <span class="quiet words">{sayHold(one)}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </WideTable>
      <div class="buttons">
        {pages.length > 0 && (
          <button type="button" onClick={() => setPages(pages.slice(0, -1))}>
            Newer
          </button>
        )}
        {data.length === PAGE_ACTIONS && (
          <button type="button" onClick={() => setPages([...pages, data.at(-1)?.id ?? ''])}>
            Older
          </button>
        )}
      </div>
    </>
  );
}
