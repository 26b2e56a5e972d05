import type { ShownWhole } from './api.ts';
import { sayTime } from './say.ts';
import { messageLink } from './use-route.ts';
import { WideTable } from './wide-table.tsx';

/** Each try with its answer, each version made of the same report, and who did what. */
export function MessageHistory({ message }: { message: ShownWhole }) {
  return (
    <>
      <Tries message={message} />
      <Versions message={message} />
      <Actions message={message} />
    </>
  );
}

/** Each try to send, with its answer. */
function Tries({ message }: { message: ShownWhole }) {
  if (message.tries.length <= 0) return null;
  return (
    <WideTable name="Tries to send">
      <thead>
        <tr>
          <th scope="col" class="number">
            Try
          </th>
          <th scope="col">Started</th>
          <th scope="col" class="number">
            Took
          </th>
          <th scope="col">Outcome</th>
          <th scope="col">Error</th>
          <th scope="col">Answer</th>
        </tr>
      </thead>
      <tbody>
        {message.tries.map((one) => (
          <tr key={`${one.attempt} ${one.startedAt}`}>
            <td class="number">{one.attempt}</td>
            <td class="time">{sayTime(one.startedAt)}</td>
            <td class="number">{one.ms} ms</td>
            <td>{one.outcome}</td>
            <td>{one.error}</td>
            <td class="wire">{one.ack.slice(1).join(' ')}</td>
          </tr>
        ))}
      </tbody>
    </WideTable>
  );
}

/** All messages made of the same report for the same destination. */
function Versions({ message }: { message: ShownWhole }) {
  if (message.versions.length <= 1) return null;
  return (
    <WideTable name="Versions of this report for the same destination">
      <tbody>
        {message.versions.map((one) => (
          <tr key={one.id} class={one.id === message.id ? 'current' : ''}>
            <th scope="row">
              {one.version}.{one.revision}
            </th>
            <td class="time">{sayTime(one.at)}</td>
            <td>
              {one.id === message.id ? (
                `${one.controlId} (this one)`
              ) : (
                <a href={messageLink('out', one.id)}>{one.controlId}</a>
              )}
            </td>
            <td>{one.status}</td>
          </tr>
        ))}
      </tbody>
    </WideTable>
  );
}

/** Who did what to it. */
function Actions({ message }: { message: ShownWhole }) {
  if (message.actions.length <= 0) return null;
  return (
    <WideTable name="Who did what">
      <tbody>
        {message.actions.map((one) => (
          <tr key={one.id}>
            <td class="time">{sayTime(one.at)}</td>
            <td>{one.actor}</td>
            <td>{one.action}</td>
            <td>{one.reason}</td>
          </tr>
        ))}
      </tbody>
    </WideTable>
  );
}
