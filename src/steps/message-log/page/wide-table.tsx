import type { ComponentChildren } from 'preact';

/** A table that may be wider than the screen: it scrolls by itself, by the keyboard too, under the name of its caption. */
export function WideTable({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section class="scroll" aria-label={name} tabIndex={0}>
      <table>
        <caption>{name}</caption>
        {children}
      </table>
    </section>
  );
}
