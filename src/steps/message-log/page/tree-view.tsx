import type { MessageTree } from '../shown.ts';

/** A message as segments and named fields; each segment can be folded. */
export function TreeView({ tree, label }: { tree: MessageTree; label: string }) {
  return (
    <section class="tree" aria-label={label}>
      {tree.unreadable && (
        <p class="fault">
          {tree.first === 1
            ? 'This message could not be taken apart. Only its header is shown.'
            : 'The message could not be taken apart from here on. Download it to see all.'}
        </p>
      )}
      {tree.segments.map((segment, at) => (
        <details key={`${segment.name} ${tree.first + at}`} open>
          <summary>
            <strong>{segment.name}</strong>{' '}
            <span class="quiet">{segment.title === '' ? 'not known here' : segment.title}</span>
          </summary>
          <dl>
            {segment.fields.map((field) => (
              <div key={field.n}>
                <dt>
                  <span class="field-number">
                    {segment.name}-{field.n}
                  </span>{' '}
                  {field.name}
                </dt>
                <dd class={field.masked ? 'masked' : ''}>
                  {field.values.map((components, n) => (
                    <span key={`${n}`} class="repetition">
                      {segment.name === 'MSH' && field.n <= 2 ? components[0] : components.join(' ^ ')}
                    </span>
                  ))}
                </dd>
              </div>
            ))}
          </dl>
        </details>
      ))}
      {tree.more && !tree.unreadable && (
        <p class="quiet">There is more in these segments than is shown here. Download it to see all.</p>
      )}
    </section>
  );
}
