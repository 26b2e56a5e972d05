import type { ViewProps } from './operator.tsx';
import { sayTime, sayZone } from './say.ts';
import { usePolled } from './use-polled.ts';
import { messageLink } from './use-route.ts';
import { WideTable } from './wide-table.tsx';

/** Who did what, when and why. Nobody can change it. */
export function LogView({ api, onSignedOut }: ViewProps) {
  const { data, fault } = usePolled('log', (signal) => api.actions(signal), onSignedOut);
  if (data === null) return <p class="nothing">{fault ?? 'Reading'}</p>;
  if (data.length === 0) return <p class="nothing">Nobody has done anything yet.</p>;
  return (
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
            <td>{one.reason}</td>
          </tr>
        ))}
      </tbody>
    </WideTable>
  );
}
