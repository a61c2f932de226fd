/** What documents have people type, and what they show of the answers. */

export interface Step {
  readonly where: 'desk' | 'machine';
  readonly line: string;
  /** What the document shows that this command, or one before it, prints. */
  readonly shown?: readonly string[];
}

/** Lines of the `sh` blocks, with whose they are; the headings say it. A `text` block is what the block before it prints. */
export function stepsOf(text: string): Step[] {
  const steps: Step[] = [];
  let where: Step['where'] = 'desk';
  let block = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('```')) block = block === '' ? line.slice(3) || 'other' : '';
    else if (block === 'sh' && line.trim() !== '' && !line.startsWith('#')) steps.push({ where, line });
    else if (block === 'text') {
      const last = steps.pop() as Step;
      steps.push({ ...last, shown: [...(last.shown ?? []), line] });
    } else if (block !== '') continue;
    else if (/^#+ (\d+\. )?(At the machine|At the desk|Back at the desk|The next release)/.test(line))
      where = /machine/.test(line) ? 'machine' : 'desk';
    else if (/\b[Aa]t the machine[^.]*:$/.test(line)) where = 'machine';
    else if (/\b[Aa]t the desk[^.]*:$/.test(line)) where = 'desk';
  }
  return steps;
}

/** The lines of a document that no line of the output is: `…` is anything, and columns may be wider. */
export function notPrinted(shown: readonly string[], said: string): string[] {
  const printed = said.split('\n').map((line) => line.trimEnd());
  const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/ {2,}/g, ' {2,}');
  return shown.filter((line) => {
    const pattern = new RegExp(`^${line.split('…').map(literal).join('.*')}$`);
    return !printed.some((each) => pattern.test(each));
  });
}
