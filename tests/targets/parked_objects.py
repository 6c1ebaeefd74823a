"""Cases of parked.py: methods, what is called for an object (operators, `with`, iteration, its end) and for a class."""
import _thread
import contextlib
import functools
import gc
import time
import weakref

from parked_halt import armed, halt, identity


class Things:
    def __init__(self, deep=False):
        self.a = 1
        if deep:
            halt()

    def method(self):
        return self._second(1, b=2)

    def _second(self, a, *, b):
        return halt(a + b)

    @classmethod
    def klass(cls):
        return cls.static()

    @staticmethod
    def static():
        return halt()

    @property
    def prop(self):
        return halt(1)

    @functools.cached_property
    def cached(self):
        return halt(1)

    def __getattr__(self, name):
        return halt(name)

    def __getitem__(self, i):
        return halt(i)

    def __call__(self, x):
        return halt(x)

    def __add__(self, other):
        return halt(other)

    def __lt__(self, other):
        halt()
        return False

    def __contains__(self, x):
        return bool(halt())

    def __len__(self):
        return halt(3)

    def __bool__(self):
        return bool(halt(True))

    def __format__(self, spec):
        return str(halt(spec))

    def __hash__(self):
        halt()
        return 5

    def __enter__(self):
        return halt(self)

    def __exit__(self, *a):
        return None

    def __iter__(self):
        return self

    def __next__(self):
        halt()
        raise StopIteration


THING = Things()


def case_method():
    THING.method()


def case_class_and_static():
    Things.klass()


def case_property():
    return (
        THING
        .prop
    )


def case_cached_property():
    return Things().cached


def case_getattr():
    return THING.not_there


def case_getitem():
    return THING[
        1
    ]


def case_call():
    return THING(1)


def case_operator():
    return 1, THING + 2


def case_compare():
    return sorted([THING, Things(), Things()])


def case_contains():
    return 1 in THING


def case_len():
    return len(THING)


def case_bool():
    if THING:
        return 1


def case_fstring():
    return f"{1} {THING:x} {2}"


def case_hash():
    return {THING: 1}


def case_init():
    return Things(
        deep=True)


def case_init_inlined():
    return Inlined(1)


class Inlined:
    def __init__(self, x):
        self.x = halt(x)


class Slots:
    __slots__ = ("x",)

    def __init__(self, x):
        self.x = Inlined(x)


def case_init_in_init():
    return Slots(2)


def case_with_enter():
    with THING:
        pass


def case_with_body():
    with contextlib.suppress(KeyError), contextlib.ExitStack() as s:
        s.callback(identity)
        halt()


class OnExit:
    def __enter__(self):
        return self

    def __exit__(self, *a):
        halt()
        return True


def case_with_exit():
    with OnExit():
        identity(1)


def case_with_exit_exception():
    with OnExit():
        raise ValueError


@contextlib.contextmanager
def manager():
    halt()
    yield 1


def case_contextmanager():
    with manager() as m:
        return m


@contextlib.contextmanager
def manager_late():
    try:
        yield 1
    finally:
        halt()


def case_contextmanager_late():
    with manager_late() as m:
        identity(m)


def case_iter_next():
    for _ in Things():
        pass


def case_class_body():
    class Body:
        x = 1
        y = halt(x)

        class Inner:
            z = halt()
    return Body


class Meta(type):
    def __new__(mcs, name, bases, space, **kw):
        halt()
        return super().__new__(mcs, name, bases, space)

    def __call__(cls, *a):
        return super().__call__(*a)


def case_metaclass():
    class WithMeta(metaclass=Meta):
        pass
    return WithMeta


class MetaPrepare(type):
    @classmethod
    def __prepare__(mcs, name, bases):
        halt()
        return {}


def case_metaclass_prepare():
    class WithPrepare(metaclass=MetaPrepare):
        pass


class Base:
    def __init_subclass__(cls, **kw):
        halt()


def case_init_subclass():
    class Sub(Base, x=1):
        pass


class Named:
    def __set_name__(self, owner, name):
        halt()

    def __get__(self, obj, kind):
        return halt()


def case_set_name():
    class Owner:
        n = Named()


class HasNamed:
    n = Named()


def case_descriptor():
    return HasNamed().n


def case_super():
    class A:
        def f(self):
            return halt()

    class B(A):
        def f(self):
            return super().f()

    class C(B):
        def f(self):
            return (super()
                    .f())
    C().f()


def case_type_call():
    return type("T", (Base,), {})


class Del:
    def __del__(self):
        halt()


def case_del():
    d = Del()
    identity(1)
    del d


def case_del_scope():
    def scope():
        d = Del()
        return identity(d) and 1
    scope()


class Cycle:
    def __del__(self):
        halt()


def case_gc():
    tries = 200 if armed.get(_thread.get_ident()) else 0
    while tries:  # free-threaded: while another thread collects, nothing is done here
        tries -= 1
        c = Cycle()
        c.me = c
        del c
        gc.collect()
        time.sleep(0.01)


def case_weakref():
    class W:
        pass
    w = W()
    r = weakref.ref(w, lambda r: halt())
    del w
    return r
