"""numpy arrays that all processes write in place."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
from fenshen import multiprocessing as ours
from fenshen import shared_array
from fenshen._segments import carrying

from processes.sides import needs_native, our_contexts, run

pytestmark = needs_native
np = pytest.importorskip("numpy")


def fill(array, view, read_only):
    array[0, 0] = 1
    view += 2
    assert not read_only.flags.writeable
    assert read_only[0, 0] == 1


@our_contexts
def test_children_write_in_place(ctx):
    array = shared_array((200, 300), "f4")
    assert (array.shape, array.dtype, array.sum()) == ((200, 300), np.float32, 0)
    read_only = array.view()
    read_only.flags.writeable = False
    run(ctx, fill, (array, array[50:60, ::-2], read_only))
    assert array[0, 0] == 1
    assert array[50:60, 1::2].min() == 2
    assert array.sum() == 1 + 2 * 10 * 150


def test_views_stay_views_through_our_channels():
    array = shared_array(10, int)
    with carrying() as pins:
        sent = pickle.dumps([array, array[2:5], array.reshape(2, 5).T, array * 2, array[array > 0]])
    assert pins
    same, part, turned, product, chosen = pickle.loads(sent)
    same[3] = 7
    assert array[3] == part[1] == turned[3, 0] == 7
    assert type(product) is np.ndarray
    assert product.sum() == 0
    assert chosen.size == 0
    turned[4, 1] = 5
    assert array[9] == 5


def test_what_is_computed_is_not_shared():
    array = shared_array(4)
    for result in (array + 1, array.copy(), np.sqrt(array), array.astype(int), np.concatenate([array, array])):
        pickle.loads(pickle.dumps(result))
        result[0] = 9
    assert array.sum() == 0


def test_kinds_and_shapes():
    assert shared_array(3).dtype == float
    assert shared_array(()).shape == ()
    assert shared_array((0, 5)).size == 0
    assert shared_array((2, 2), [("a", "i4"), ("b", "f8")])["b"].shape == (2, 2)
    with pytest.raises(TypeError, match="cannot hold Python objects"):
        shared_array(3, object)
    with pytest.raises(ValueError, match="negative dimensions are not allowed"):
        shared_array(-1)


def test_pickled_for_anything_else():
    with pytest.raises(RuntimeError, match="should only be shared between processes through inheritance"):
        pickle.dumps(shared_array(3))


def test_without_numpy():
    code = "import sys; sys.modules['numpy'] = None\nfrom fenshen import shared_array"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "ImportError: fenshen.shared_array needs numpy" in done.stderr


def test_as_an_item_of_a_manager_s_dict_is_refused():
    with ours.Manager() as manager, pytest.raises(RuntimeError):
        manager.dict()["array"] = shared_array(3)
