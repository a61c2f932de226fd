/** Text for people, as a type: everything printed is made here, so that no field gets out except through `printable`. */
import { printable } from './errors.ts';

declare const made: unique symbol;

/** Lines in which every outside field stays on one line and is visible. */
export type Lines = string & { readonly [made]: true };

type Field = string | number | bigint | boolean;

/** A template tag: the text between is ours, each field is made printable. Text that is already lines is added with `joined`. */
export function lines<const Fields extends readonly Field[]>(
  texts: TemplateStringsArray,
  ...fields: { readonly [K in keyof Fields]: Fields[K] extends Lines ? never : Fields[K] }
): Lines {
  return texts
    .map((text, i) => `${i === 0 ? '' : printable(String(fields[i - 1]))}${text}`)
    .join('') as Lines;
}

export const joined = (parts: readonly Lines[]): Lines => parts.join('') as Lines;

/** For text with lines of its own (a program’s output): each separately, with a newline. */
export const eachLine = (text: string): Lines => joined(text.split('\n').map((line) => lines`${line}\n`));

/** The first word, and what follows it. */
export function splitWord(text: Lines): readonly [Lines, Lines] {
  const end = /\s|$/.exec(text)?.index ?? text.length;
  return [text.slice(0, end) as Lines, text.slice(end) as Lines];
}

/** The first line, without its newline, and what follows it. */
export function splitFirst(text: Lines): readonly [Lines, Lines] {
  const end = text.indexOf('\n');
  return end === -1 ? [text, '' as Lines] : [text.slice(0, end) as Lines, text.slice(end) as Lines];
}

/** For core/style.ts only: a mark, which is not text. */
export const marked = (mark: string): Lines => mark as Lines;

/** For code that makes lines from fields it has already made printable. */
export const asLines = (text: string): Lines => text as Lines;
