// Search without a server: on file:// a page may not start a worker, so the search runs in a frame.
// The theme reads `Worker` once, after this script.

class FrameWorker extends EventTarget {
  constructor(url) {
    super();
    const frame = document.createElement("iframe");
    frame.hidden = true;
    document.body.append(frame);
    this.inner = frame.contentWindow;
    this.inner.importScripts = async (...urls) => {
      for (const each of urls) await this.load(each);
    };
    this.inner.postMessage = (data) => this.answer(data);
    this.ready = this.load(url);
  }

  load(url) {
    return new Promise((resolve, reject) => {
      const script = this.inner.document.createElement("script");
      script.src = url;
      script.onload = resolve;
      script.onerror = reject;
      this.inner.document.body.append(script);
    });
  }

  answer(data) {
    const event = new MessageEvent("message", { data });
    this.dispatchEvent(event);
    if (this.onmessage) this.onmessage(event);
  }

  async postMessage(data) {
    await this.ready;
    this.inner.dispatchEvent(new MessageEvent("message", { data }));
  }
}

if (location.protocol === "file:") window.Worker = FrameWorker;
