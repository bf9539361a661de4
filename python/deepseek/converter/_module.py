"""Stand-in until deepseek.nn is there."""
from .. import _C
class Module:
    def __init__(self):
        self.__dict__.update(_parameters={}, _buffers={}, _modules={}, training=True, _np=set())
    def register_parameter(self, n, p): self._parameters[n]=p
    def register_buffer(self, n, p, persistent=True):
        self._buffers[n]=p
        if not persistent: self._np.add(n)
    def add_module(self, n, m): self._modules[n]=m
    def __getattr__(self, n):
        for d in ("_parameters","_buffers","_modules"):
            if n in self.__dict__[d]: return self.__dict__[d][n]
        raise AttributeError(n)
    def __call__(self,*a,**k): return self.forward(*a,**k)
    def named_modules(self, prefix=""):
        yield prefix, self
        for n,m in self._modules.items(): yield from m.named_modules(f"{prefix}.{n}" if prefix else n)
    def modules(self): return (m for _,m in self.named_modules())
    def named_parameters(self, remove_duplicate=True):
        seen=set()
        for mn,m in self.named_modules():
            for n,p in m._parameters.items():
                if p is None or id(p) in seen and remove_duplicate: continue
                seen.add(id(p)); yield (f"{mn}.{n}" if mn else n), p
    def named_buffers(self):
        for mn,m in self.named_modules():
            for n,p in m._buffers.items():
                yield (f"{mn}.{n}" if mn else n), p
    def parameters(self): return (p for _,p in self.named_parameters())
    def state_dict(self):
        out={}
        for mn,m in self.named_modules():
            pre=f"{mn}." if mn else ""
            out.update({pre+n:p for n,p in m._parameters.items() if p is not None})
            out.update({pre+n:p for n,p in m._buffers.items() if p is not None and n not in m._np})
        return out
    def load_state_dict(self, s):
        for k,v in self.state_dict().items():
            before=_C.set_grad_enabled(False)
            _C.assign(v, s[k], "load"); _C.set_grad_enabled(before)
    def train(self, mode=True):
        for m in self.modules(): m.training=mode
        return self
    def eval(self): return self.train(False)
def Parameter(t, requires_grad=True):
    return t.requires_grad_(requires_grad)
