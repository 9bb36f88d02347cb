import { connect } from 'tidegate';

const tide = connect(process.argv[2]);
for await (const { data } of tide.watch('job:1')) {
  process.stdout.write(`${data.message}\n`);
}
tide.close();
