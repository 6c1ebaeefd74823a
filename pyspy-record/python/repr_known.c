/* Which types and __repr__ methods we know to print. */
#include "pyspy-record/python/repr_parts.h"

static const struct repr_known types[] = {
    {"object", repr_show_object, 0},
    {"NoneType", repr_show_none, 0},
    {"ellipsis", repr_show_ellipsis, 0},
    {"NotImplementedType", repr_show_not_implemented, 0},
    {"bool", repr_show_bool, 0},
    {"int", repr_show_int, REPR_HOLDS},
    {"long", repr_show_long, REPR_HOLDS},
    {"float", repr_show_float, REPR_HOLDS},
    {"complex", repr_show_complex, REPR_HOLDS},
    {"str", repr_show_str, REPR_HOLDS},
    {"unicode", repr_show_unicode2, REPR_HOLDS},
    {"bytes", repr_show_bytes, REPR_HOLDS},
    {"bytearray", repr_show_bytearray, REPR_HOLDS},
    {"list", repr_show_list, REPR_HOLDS},
    {"tuple", repr_show_tuple, REPR_HOLDS},
    {"dict", repr_show_dict, REPR_HOLDS},
    {"set", repr_show_set, REPR_HOLDS},
    {"frozenset", repr_show_frozenset, REPR_HOLDS},
    {"range", repr_show_range, 0},
    {"xrange", repr_show_xrange, 0},
    {"slice", repr_show_slice, 0},
    {"mappingproxy", repr_show_mappingproxy, 0},
    {"dictproxy", repr_show_mappingproxy, 0},
    {"dict_keys", repr_show_dict_keys, 0},
    {"dict_values", repr_show_dict_values, 0},
    {"dict_items", repr_show_dict_items, 0},
    {"odict_keys", repr_show_dict_keys, 0},
    {"odict_values", repr_show_dict_values, 0},
    {"odict_items", repr_show_dict_items, 0},
    {"BaseException", repr_show_exception, REPR_HOLDS},
    {"exceptions.BaseException", repr_show_exception, REPR_HOLDS},
    {"BaseExceptionGroup", repr_show_exception, REPR_HOLDS}, /* its own from 3.14 on */
    {"ImportError", repr_show_import_error, REPR_HOLDS},     /* from 3.15 on */
    {"type", repr_show_type, 0},
    {"classobj", repr_show_class2, 0},
    {"instance", repr_show_instance2, 0},
    {"function", repr_show_function, 0},
    {"builtin_function_or_method", repr_show_builtin, 0},
    {"method", repr_show_method, 0},
    {"instancemethod", repr_show_method, 0},
    {"method_descriptor", repr_show_method_descriptor, 0},
    {"wrapper_descriptor", repr_show_slot_wrapper, 0},
    {"getset_descriptor", repr_show_getset, 0},
    {"member_descriptor", repr_show_member, 0},
    {"module", repr_show_module, 0},
    {"generator", repr_show_generator, 0},
    {"coroutine", repr_show_coroutine, 0},
    {"async_generator", repr_show_async_generator, 0},
    {"code", repr_show_code, 0},
    {"cell", repr_show_cell, 0},
    {"_thread.lock", repr_show_lock, 0},
    {"memoryview", repr_show_memory, 0},
    {"weakref", repr_show_weakref, 0},
    {"weakref.ReferenceType", repr_show_weakref, 0},
    {"functools.partial", repr_show_partial, REPR_HOLDS},
    {"types.SimpleNamespace", repr_show_namespace, 0},
    {"namespace", repr_show_namespace, 0},
    {"collections.deque", repr_show_deque, REPR_HOLDS},
    {"collections.defaultdict", repr_show_defaultdict, REPR_HOLDS},
    {"collections.OrderedDict", repr_show_ordereddict, REPR_HOLDS},
    {"array.array", repr_show_array, REPR_HOLDS},
    {"datetime.date", repr_show_date, REPR_HOLDS},
    {"datetime.datetime", repr_show_datetime, REPR_HOLDS},
    {"datetime.time", repr_show_time, REPR_HOLDS},
    {"datetime.timedelta", repr_show_timedelta, REPR_HOLDS},
    {"datetime.timezone", repr_show_timezone, 0},
    {"zoneinfo.ZoneInfo", repr_show_zoneinfo, 0},
    {"decimal.Decimal", repr_show_decimal, REPR_HOLDS},
    {"re.Pattern", repr_show_pattern, 0},
    {"_sre.SRE_Pattern", repr_show_pattern, 0},
    {"re.Match", repr_show_match, 0},
    {"_sre.SRE_Match", repr_show_match, 0},
    {"numpy.ndarray", repr_show_ndarray, REPR_HOLDS},
    {"numpy.bool_", repr_show_numpy_scalar, 0},
    {"numpy.bool", repr_show_numpy_scalar, 0},
    {"numpy.int8", repr_show_numpy_scalar, 0},
    {"numpy.int16", repr_show_numpy_scalar, 0},
    {"numpy.int32", repr_show_numpy_scalar, 0},
    {"numpy.int64", repr_show_numpy_scalar, 0},
    {"numpy.longlong", repr_show_numpy_scalar, 0},
    {"numpy.uint8", repr_show_numpy_scalar, 0},
    {"numpy.uint16", repr_show_numpy_scalar, 0},
    {"numpy.uint32", repr_show_numpy_scalar, 0},
    {"numpy.uint64", repr_show_numpy_scalar, 0},
    {"numpy.ulonglong", repr_show_numpy_scalar, 0},
    {"numpy.float16", repr_show_numpy_scalar, 0},
    {"numpy.float32", repr_show_numpy_scalar, 0},
    {"numpy.float64", repr_show_numpy_scalar, 0},
    {"numpy.complex64", repr_show_numpy_scalar, 0},
    {"numpy.complex128", repr_show_numpy_scalar, 0},
    {"numpy.str_", repr_show_numpy_scalar, 0},
    {"numpy.bytes_", repr_show_numpy_scalar, 0},
};

const struct repr_known *repr_known_type(const char *name)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}

static const struct {
	const char *name;
	repr_show *show;
} methods[] = {
    {"enum.Enum.__repr__", repr_show_enum},
    {"enum.Flag.__repr__", repr_show_flag},
    {"enum.global_enum_repr", repr_show_global_enum},
    {"enum.global_flag_repr", repr_show_global_enum},
    {"re.RegexFlag.__repr__", repr_show_global_enum},
    {"enum.EnumMeta.__repr__", repr_show_enum_type},
    {"enum.EnumType.__repr__", repr_show_enum_type},
    {"collections.Counter.__repr__", repr_show_counter},
    {"collections.OrderedDict.__repr__", repr_show_ordereddict2},
    {"collections.UserDict.__repr__", repr_show_userdata},
    {"collections.UserList.__repr__", repr_show_userdata},
    {"collections.UserString.__repr__", repr_show_userdata},
    {"UserDict.UserDict.__repr__", repr_show_userdata},
    {"UserList.UserList.__repr__", repr_show_userdata},
    {"UserString.UserString.__repr__", repr_show_userdata},
    {"collections.ChainMap.__repr__", repr_show_chainmap},
    {"fractions.Fraction.__repr__", repr_show_fraction},
    {"decimal.Decimal.__repr__", repr_show_decimal2},
    {"_pydecimal.Decimal.__repr__", repr_show_decimal2},
    {"uuid.UUID.__repr__", repr_show_uuid},
    {"pathlib.PurePath.__repr__", repr_show_path},
    {"pathlib._local.PurePath.__repr__", repr_show_path},
    {"os._Environ.__repr__", repr_show_environ},
    {"pydantic.main.BaseModel.__repr__", repr_show_fields},
    {"argparse._AttributeHolder.__repr__", repr_show_fields},
};

repr_show *repr_known_method(const char *name)
{
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (strcmp(methods[i].name, name) == 0)
			return methods[i].show;
	return NULL;
}
