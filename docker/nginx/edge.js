// What would otherwise need a reload: each version's share of the requests during a deploy, and a new
// certificate. nginx ends HTTP/2 connections at each reload, and some clients lose requests then.
import fs from 'fs';

// Exists only during a deploy: nginx.conf asks decide() only then, because each call costs time.
const DEPLOYING = '/tmp/deploying';

// The upstream: `web`, `web_next`, or `careful`: web_next, but its errors are retried on web.
function decide(r) {
    const traffic = ngx.shared.traffic, percent = traffic.get('percent') || 0;
    if (percent < 100) {
        const once = r.method === 'POST' || r.method === 'PATCH'; // nginx never repeats these
        if (once && !traffic.get('writes')) {
            return 'web';
        }
        // Exact over any 100 requests.
        if (traffic.incr('requests', 1, 0) % 100 * percent % 100 >= percent) {
            return 'web';
        }
    }
    return traffic.get('retry') ? 'careful' : 'web_next';
}

// GET says what is in force; POST percent=N&writes=0|1&retry=0|1 changes it for the next request.
function control(r) {
    const traffic = ngx.shared.traffic, names = ['percent', 'writes', 'retry'];
    if (r.method === 'POST') {
        const wanted = /^percent=(\d\d?|100)&writes=([01])&retry=([01])$/.exec(r.requestText);
        if (!wanted) {
            r.return(400, 'refused, nothing changed\n');
            return;
        }
        names.forEach((name, index) => traffic.set(name, Number(wanted[index + 1])));
        if (wanted[1] !== '0') {
            fs.writeFileSync(DEPLOYING, '');
        } else if (fs.existsSync(DEPLOYING)) {
            fs.unlinkSync(DEPLOYING);
        }
    }
    r.return(200, names.map(name => `${name}=${traffic.get(name) || 0}`).join('&') + '\n');
}

// The file with certificate and key. A file under a name in use is never replaced, because nginx could
// read half of it: init writes a new one and then changes the name in `current`. Kubernetes has two files
// and a link to the folder of the present ones.
function certificate() {
    return fs.existsSync('/run/secrets/current')
        ? '/run/secrets/' + fs.readFileSync('/run/secrets/current', 'utf8')
        : fs.realpathSync('/run/secrets/..data') + '/tls.crt';
}

function key() {
    return certificate().replace('/tls.crt', '/tls.key');
}

export default {decide, control, certificate, key};
