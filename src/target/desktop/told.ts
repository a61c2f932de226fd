/** What a user has been told, so that news is news once; questions are asked again in each session. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ifMissing } from '../../core/errno.ts';
import * as z from '../../core/zod.ts';
import { makeFolders } from '../../files/folder.ts';
import { writeBeside } from '../../files/write.ts';

/** As many as are remembered; far more than can still be news. */
const most = 64;

const parser = z.strictObject({
  schema: z.literal(1),
  told: z.array(z.string().check(z.maxLength(200))).check(z.maxLength(most)),
});

export class Told {
  readonly #file: string;
  #ids: readonly string[];
  /** One write at a time: several notices may be shown side by side. */
  #written: Promise<void> = Promise.resolve();

  private constructor(file: string, ids: readonly string[]) {
    this.#file = file;
    this.#ids = ids;
  }

  /** A damaged file is as good as none: something is told twice. @param folder the user’s own */
  static async open(folder: string): Promise<Told> {
    const file = join(folder, 'told.json');
    const text = await readFile(file, 'utf8').catch(ifMissing('{}'));
    return new Told(file, parser.safeParse(jsonOf(text)).data?.told ?? []);
  }

  has(id: string): boolean {
    return this.#ids.includes(id);
  }

  add(id: string): Promise<void> {
    this.#ids = [...this.#ids.filter((known) => known !== id), id].slice(-most);
    this.#written = this.#written.then(() => this.#write());
    return this.#written;
  }

  async #write(): Promise<void> {
    await makeFolders(dirname(this.#file));
    await writeBeside(this.#file, (out) => out.writeFile(JSON.stringify({ schema: 1, told: this.#ids })));
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
