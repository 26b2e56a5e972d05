/** R4 search.html#prefix */
export type Prefix = 'eq' | 'ne' | 'gt' | 'lt' | 'ge' | 'le' | 'sa' | 'eb' | 'ap';

export function splitPrefix(text: string): { prefix: Prefix; value: string } {
  const match = /^(eq|ne|gt|lt|ge|le|sa|eb|ap)(.*)$/s.exec(text);
  return match ? { prefix: match[1] as Prefix, value: match[2] ?? '' } : { prefix: 'eq', value: text };
}
